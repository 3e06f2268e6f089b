"""The commands of docs/terminal.md, as they stand there."""

import json
import shutil

from tests.docs.fences import command_lines, run_by


def test_the_commands_of_the_page_do_what_the_page_says(
    tmp_path, image_folder, cli_here, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(image_folder, "photos")
    calls = [
        call
        for fence in run_by("tests/terminal/test_page.py")
        for call in command_lines(fence.code)
    ]
    assert len(calls) == 8
    for call in calls:
        said = cli_here(*call).stdout
        if "--json" in call:
            json.loads(said)
        elif "verify" not in call:
            assert "plan" in said

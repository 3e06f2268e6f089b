"""The completion that is installed, used by the shell itself."""

import shutil
import subprocess

import pytest

from tests.terminal.conftest import BIN, environment

ASK = """
for app in store annotate train; do eval "$($app --show-completion bash)"; done
while read -r line; do
    IFS='|' read -ra COMP_WORDS <<< "$line"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_WORDS[COMP_CWORD]=${COMP_WORDS[COMP_CWORD]%?}
    COMPREPLY=()
    _${COMP_WORDS[0]}_completion ${COMP_WORDS[0]}
    echo "${COMPREPLY[*]}"
done
"""
"""Each line it reads: the words of a command, cut by |, and a dot after the last."""
# Which shell runs the tests is not always told; named, as here, nobody needs to find out.
NAMED = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


OFFERED = {
    ("store", "s"): "status sql split",
    ("annotate", "readout", ""): "fit apply",
    ("annotate", "points", "--model", "qwen3-vl-3"): "qwen3-vl-32b",
    ("annotate", "points", "--prompt", "point-f"): "point-flaws",
    ("annotate", "pairs", "--strategy", ""): "random near uncertain",
    ("store", "add-images", "--layout", "ko"): "koniq10k",
    ("train", "run", "--store", "JUDGED", "--teacher", "s"): "simulated",
    ("train", "run", "--store", "/nowhere", "--teacher", "s"): "",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_offers_what_can_follow(judged, tmp_path):
    lines = ["|".join(words).replace("JUDGED", str(judged.root)) + "." for words in OFFERED]
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        env=environment(PATH=f"{BIN}:/usr/bin:/bin", HOME=str(tmp_path), **NAMED),
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    assert dict(zip(OFFERED, done.stdout.split("\n"), strict=False)) == OFFERED


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_installs_itself_for_each_shell(shell, tmp_path, cli):
    changes = {"HOME": str(tmp_path), **NAMED}
    cli("train", "--install-completion", shell, env=changes)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("train" in path.read_text() for path in written)
    assert "train" in cli("train", "--show-completion", shell, env=changes).stdout

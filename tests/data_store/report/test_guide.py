"""The commands of docs/teacher-report.md run as they stand there."""

from data_store.layout import create_store
from schemas.ids import sha256_text
from schemas.teacher_spec import TeacherSpec
from tests.data_store.report.small_stores import commit
from tests.data_store.rows import point
from tests.docs.fences import command_lines, run_by

TEACHER = TeacherSpec(
    name="internvl3.5-8b",
    revision="",
    architecture="InternVLForConditionalGeneration",
    weights_sha256=sha256_text("weights"),
    preprocessing_sha256=sha256_text("preprocessing"),
    max_tiles=1,
    dtype="bfloat16",
    quantization="none",
)


def test_the_commands_of_the_guide_run(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my.store", "other.store"):
        store = create_store(name)
        store.write_teacher(TEACHER)
        commit(store, "points", [point(n) for n in range(4)], teacher=TEACHER.teacher_id)
    fences = run_by("tests/data_store/report/test_guide.py")
    commands = [words for fence in fences for words in command_lines(fence.code)]
    assert len(commands) == 5
    for words in commands:
        cli_here(*words)
    assert {path.name for path in tmp_path.glob("*.html")} == {
        *("my.store-report.html", "report.html", "both.html"),
    }
    assert (tmp_path / "plots/scores.svg").exists()

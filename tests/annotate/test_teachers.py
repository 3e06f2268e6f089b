"""Finding teachers, and what makes two teachers the same."""

import json
import shutil
from contextlib import suppress
from importlib import resources
from pathlib import Path

import pytest

from annotate.prompts import shipped_prompt
from annotate.teachers.teacher import find_teacher
from schemas.errors import LabelTokenError, TeacherMissing

TINY = Path(str(resources.files("annotate"))) / "tiny_teacher"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def copied(tmp_path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "a copy under another name"))


def test_a_copy_under_another_name_is_the_same_teacher(copied):
    shipped = find_teacher("tiny", engine="transformers")
    copy = find_teacher(str(copied), engine="transformers", dtype="float32", max_tiles=1)
    assert copy.spec.name != shipped.spec.name
    assert copy.teacher_id == shipped.teacher_id


@pytest.mark.parametrize(
    "options", [{"dtype": "bfloat16"}, {"max_tiles": 4}, {"quantization": "fp8"}]
)
def test_another_way_of_running_is_another_teacher(options):
    plain = find_teacher("tiny", engine="transformers")
    assert find_teacher("tiny", engine="transformers", **options).teacher_id != plain.teacher_id


def test_the_engine_is_no_part_of_the_identity():
    ids = {find_teacher("tiny", engine=name).teacher_id for name in ("vllm", "transformers")}
    assert len(ids) == 1


def test_one_changed_weight_is_another_teacher(copied):
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    changed = find_teacher(str(copied), dtype="float32", max_tiles=1)
    assert changed.teacher_id != find_teacher("tiny").teacher_id


@pytest.mark.parametrize("kind", ["point", "pair"])
def test_the_shipped_labels_are_one_token_each(kind):
    question = find_teacher("tiny").read(shipped_prompt(kind))
    first = [ids[0] for ids in question.label_token_ids]
    assert len(set(first)) == len(question.labels)
    assert question.text.endswith(shipped_prompt(kind).stem)


def test_changing_a_prompt_changes_its_id_and_not_the_others(tmp_path):
    teacher = find_teacher("tiny")
    point = shipped_prompt("point")
    other = point.model_copy(update={"parts": (point.parts[0], "Is this a good picture?")})
    assert teacher.read(other).prompt_id != teacher.read(point).prompt_id


def test_a_tokenizer_that_splits_a_level_word_is_refused_before_the_weights_are_loaded(copied):
    path = copied / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    model = tokenizer["model"]
    word = "\u0120excellent"  # byte-level BPE writes a leading space so
    assert word in model["vocab"], "the shipped tokenizer has the word as one token"
    model["merges"] = [m for m in model["merges"] if "".join(m).replace(" ", "") != word]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    teacher = find_teacher(str(copied))
    with pytest.raises(LabelTokenError, match="no spelling of 'excellent'"):
        teacher.read(shipped_prompt("point"))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TeacherMissing, match=r"config\.json, \*\.safetensors missing"):
        find_teacher(str(tmp_path))


def test_a_path_that_does_not_exist_is_named():
    with pytest.raises(TeacherMissing, match="there is no model here"):
        find_teacher("/no/such/model")


def test_a_checkpoint_of_pickles_is_not_loaded(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(TeacherMissing, match=r"\*\.safetensors missing"):
        find_teacher(str(copied))


def test_code_that_comes_with_a_checkpoint_never_runs(copied):
    for name in ("processor_config.json", "tokenizer_config.json"):
        path = copied / name
        config = json.loads(path.read_text())
        config["auto_map"] = {"AutoProcessor": "evil.Processor", "AutoTokenizer": "evil.Tokenizer"}
        config["processor_class"] = "EvilProcessor"
        path.write_text(json.dumps(config))
    (copied / "evil.py").write_text("raise SystemExit('remote code ran')")
    with suppress(TeacherMissing):  # refused or loaded by our own code, but never run
        find_teacher(str(copied))


def test_weights_that_cannot_be_had_say_what_where_and_what_to_do(cli, tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    done = cli(
        "annotate", "points", "--model", "internvl3.5-8b", "--images", tmp_path / "images",
        "--store", tmp_path / "store", code=2,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
    )  # fmt: skip
    assert "OpenGVLab/InternVL3_5-8B-HF" in done.stderr
    assert "fix:" in done.stderr
    assert not (tmp_path / "store").exists()

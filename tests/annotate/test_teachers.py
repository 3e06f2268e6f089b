"""Finding teachers, and what makes two teachers the same."""

import hashlib
import json
import pickle
import shutil
from contextlib import suppress
from importlib import resources
from pathlib import Path

import pytest

from annotate.image_stream import FULL
from annotate.prompts import load_prompt, shipped_prompt, shipped_prompts
from annotate.teachers.checkpoints import find_checkpoint
from annotate.teachers.presets import PRESETS
from annotate.teachers.teacher import Teacher, find_teacher
from schemas.errors import TeacherMissing
from tests.conftest import picture

TINY = Path(str(resources.files("annotate"))) / "tiny_teacher"

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def copied(tmp_path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "a copy under another name"))


@pytest.fixture(scope="module")
def tiny() -> Teacher:
    return find_teacher("tiny", engine="transformers")


def test_a_copy_under_another_name_is_the_same_teacher(copied, tiny):
    copy = find_teacher(str(copied), engine="transformers", dtype="float32", max_tiles=1)
    assert copy.spec.name != tiny.spec.name
    assert copy.teacher_id == tiny.teacher_id


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


@pytest.mark.parametrize("name", shipped_prompts())
def test_the_shipped_labels_are_one_token_each(tiny, name):
    question, prompt = tiny.read(load_prompt(name)), load_prompt(name)
    assert not question.spec.label_sequences
    assert len({ids[0] for ids in question.spec.label_token_ids}) == len(prompt.labels)
    assert question.spec.text.endswith(prompt.stem)
    assert [reading.text for reading in question.readings] == [question.spec.text]


# Of the answers that people have paid for; only an intended change of the question moves one.
PAID = {
    "point": "3ce92f7d3692f0f43c63dfeae94435c00984dc58e5d5ccd4902d2ac593f4b6f4",
    "pair": "991a91e3e7449ed30900bb2a7d0866b9bb7d8e71ab8cabe44cfc3e7fec8ddb68",
}


@pytest.mark.parametrize("kind", ["point", "pair"])
def test_paid_answers_keep_their_question(tiny, kind):
    assert tiny.read(shipped_prompt(kind)).prompt_id == PAID[kind]


def test_point_and_pair_prompts_share_all_tokens_through_the_first_image(tiny):
    image = picture(1)
    point, pair = (
        tiny.processor(text=[tiny.read(shipped_prompt(kind)).spec.text], images=[[image] * count])[
            "input_ids"
        ][0]
        for kind, count in (("point", 1), ("pair", 2))
    )
    through_image = point.index(tiny.processor.end_image_token_id) + 1
    assert pair[:through_image] == point[:through_image]
    assert point[:through_image].count(tiny.processor.image_token_id) == 16


def test_changing_a_prompt_changes_its_id_and_not_the_others(tiny):
    point = shipped_prompt("point")
    other = point.model_copy(update={"parts": (point.parts[0], "Is this a nice picture?")})
    assert tiny.read(other).prompt_id != tiny.read(point).prompt_id


EMPTY_THOUGHT = "<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n"


def with_template(folder: Path, generation_prompt: str) -> Teacher:
    """The tiny teacher with another end of its chat template, where thinking is turned off."""
    path = folder / "chat_template.jinja"
    start = path.read_text(encoding="utf-8").split("{%- if add_generation_prompt -%}")[0]
    ending = (
        "{%- if add_generation_prompt -%}"
        "{%- if enable_thinking is defined and enable_thinking is false -%}"
        f'{{{{ "{generation_prompt}" }}}}'
        "{%- else -%}"
        '{{ "<|im_start|>assistant\\n<think>\\n" }}'
        "{%- endif -%}{%- endif -%}"
    )
    path.write_text(start + ending, encoding="utf-8")
    return find_teacher(str(folder), engine="transformers")


def test_the_stem_follows_the_empty_thought_that_a_template_closes(copied, tiny):
    question = with_template(copied, EMPTY_THOUGHT).read(shipped_prompt("point"))
    assert question.spec.text.endswith("</think>\n\nThe quality of the image is")
    plain = tiny.read(shipped_prompt("point"))
    assert question.spec.label_token_ids == plain.spec.label_token_ids
    assert question.prompt_id != plain.prompt_id


def test_a_template_that_always_thinks_is_refused(copied):
    teacher = with_template(copied, "<|im_start|>assistant\\n<think>\\n")
    with pytest.raises(TeacherMissing, match="begins every answer with a thought"):
        teacher.read(shipped_prompt("point"))


def test_a_checkpoint_without_a_chat_template_is_refused(copied):
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(TeacherMissing, match="has no chat template"):
        find_teacher(str(copied), engine="transformers").read(shipped_prompt("point"))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TeacherMissing, match=r"config\.json, \*\.safetensors missing"):
        find_teacher(str(tmp_path))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


def test_another_architecture_is_refused_with_those_that_can_be_asked(copied):
    change_config(copied, architectures=["InternVLChatModel"], auto_map={"AutoModel": "x.Model"})
    with pytest.raises(
        TeacherMissing,
        match=r"InternVLChatModel cannot be asked: it brings code(.|\n)*"
        r"InternVLForConditionalGeneration or Qwen3VLForConditionalGeneration",
    ):
        find_teacher(str(copied))


def test_a_part_that_the_index_names_and_nobody_copied_is_missing(copied):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(TeacherMissing, match=r"model-00002-of-00002\.safetensors missing"):
        find_teacher(str(copied))


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


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Puts a checkpoint into a cache laid out as the hub's client lays it out; no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def add(hub_id: str, commit: str, *, branch: str = "") -> None:
        folder = tmp_path / "hub" / f"models--{hub_id.replace('/', '--')}"
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        (folder / "snapshots" / commit).mkdir(parents=True)
        for file in TINY.iterdir():
            data = file.read_bytes()
            blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
            blob.write_bytes(data)
            (folder / "snapshots" / commit / file.name).symlink_to(
                Path("..") / ".." / "blobs" / blob.name
            )
        if branch:
            (folder / "refs").mkdir(exist_ok=True)
            (folder / "refs" / branch).write_text(commit)

    return add


def test_a_preset_is_the_commit_that_it_pins_whatever_the_main_branch_is(hub_cache):
    preset = PRESETS["internvl3.5-8b"]
    hub_cache(preset.model, preset.revision)
    hub_cache(preset.model, "f" * 40, branch="main")
    assert find_checkpoint("internvl3.5-8b").revision == preset.revision
    assert find_checkpoint(preset.model).revision == "f" * 40  # a hub id alone is the branch


def test_a_revision_that_the_user_names_goes_before_the_presets(hub_cache):
    preset = PRESETS["internvl3.5-8b"]
    hub_cache(preset.model, preset.revision)
    hub_cache(preset.model, "e" * 40, branch="main")
    for revision in ("main", "e" * 40):
        assert find_checkpoint("internvl3.5-8b", revision=revision).revision == "e" * 40
    with pytest.raises(TeacherMissing, match="--revision dddd"):
        find_checkpoint("internvl3.5-8b", revision="d" * 40)


def test_weights_from_the_hub_are_the_same_teacher_as_a_copy_of_them(hub_cache, tiny):
    hub_cache("someone/a-model", "a" * 40, branch="main")
    found = find_teacher("someone/a-model", dtype="float32", max_tiles=1)
    assert found.teacher_id == tiny.teacher_id
    assert (found.spec.name, found.spec.revision) == ("someone/a-model", "a" * 40)


def test_a_cache_that_lacks_a_part_is_not_taken_for_a_checkpoint(hub_cache, tmp_path):
    hub_cache("someone/a-model", "a" * 40, branch="main")
    next((tmp_path / "hub").glob("*/snapshots/*/model.safetensors")).unlink()
    with pytest.raises(TeacherMissing, match="not on this machine and cannot be downloaded"):
        find_checkpoint("someone/a-model")


def test_a_folder_has_no_revisions(copied):
    with pytest.raises(TeacherMissing, match="a folder has no revisions"):
        find_checkpoint(str(copied), revision="main")


def test_shrunk_decoding_is_another_teacher_and_knows_what_it_sees(tiny):
    shrunk = find_teacher("tiny", decoding="shrunk")
    assert shrunk.teacher_id != tiny.teacher_id
    assert tiny.decoding == FULL
    travelled = pickle.loads(pickle.dumps(shrunk.decoding))  # as it does to the decoders
    assert travelled.kind == "shrunk"
    assert travelled.shown_size(4000, 3000) == (112, 112)


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

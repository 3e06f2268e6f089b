"""Hidden states, kept beside the points: each once, whatever happens, and what they are worth."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from annotate.embed import annotate_states, plan_states
from annotate.executors.share import Share
from annotate.job import Pace
from annotate.run import annotate_points
from annotate.teachers.engine import EngineOptions
from annotate.teachers.label_rows import label_logits, output_rows
from annotate.teachers.states import StateAnswer, StateEngine
from annotate.teachers.supervisor import Supervised
from annotate.teachers.teacher import Teacher, find_teacher
from annotate.unanswered import unanswered
from data_store.embeddings import read_states
from data_store.images.importer import add_images
from data_store.index import query
from data_store.layout import Store, create_store, open_store
from schemas.errors import EngineFailed, InputError, TeacherMissing
from schemas.scale import logit_expectation, unit_score
from tests.annotate.tiny_qwen import make_tiny_qwen
from tests.conftest import picture

pytestmark = pytest.mark.filterwarnings("ignore")
WIDTH = 128  # of the tiny teacher's language model
MANY = 40


class Kept:
    """An engine that outlives the run that closes it, and may spoil what it says."""

    provenance = "kept"

    def __init__(self, engine: StateEngine) -> None:
        self.engine = engine
        self.spoilt: dict[str, float] = {}

    def stream(self, requests):
        drawn = []

        def noted():
            for request in requests:
                drawn.append(request)
                yield request

        for number, answer in enumerate(self.engine.stream(noted())):
            (image_id,) = drawn[number].image_ids
            if image_id in self.spoilt:
                state = answer.state.copy()
                state[3] = self.spoilt[image_id]
                answer = answer._replace(state=state)  # noqa: PLW2901
            yield answer

    def close(self) -> None:
        pass


class StatesTeacher(Teacher):
    """A teacher whose engine of states is loaded already."""

    kept: Kept

    def start_states(self) -> StateEngine:
        return type(self).kept


@pytest.fixture(scope="module")
def loaded(tiny_teacher: Teacher) -> Iterator[Kept]:
    engine = tiny_teacher.start_states()
    yield Kept(engine)
    engine.close()


@pytest.fixture
def teacher(tiny_teacher: Teacher, loaded: Kept) -> StatesTeacher:
    StatesTeacher.kept = Kept(loaded.engine)
    return StatesTeacher(
        **{field.name: getattr(tiny_teacher, field.name) for field in fields(tiny_teacher)}
    )


@pytest.fixture
def filled(store: Store, image_folder: Path) -> Store:
    add_images(store, image_folder)
    return store


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("states") / "photos"
    folder.mkdir()
    for number in range(MANY):
        picture(number, size=112, blur=(number % 6) / 2).save(folder / f"{number:03d}.png")
    return folder


def rows(store: Store, what: str = "image_id, teacher_id, prompt_id, prompt_tokens"):
    return query(store, f"select {what} from embeddings order by all").to_pylist()


def states(store: Store, teacher: Teacher, prompt) -> np.ndarray:
    return read_states(store, teacher.teacher_id, teacher.read(prompt).prompt_id).values


def written(store: Store) -> int:
    """Rows in all shards, those that stand twice counted twice."""
    sql = "select sum(row_count)::int as n from shards where table_name = 'embeddings'"
    return query(store, sql).to_pylist()[0]["n"]


def test_every_image_gets_one_state_under_the_key_of_its_point(filled, teacher, point_prompt):
    done = annotate_states(filled, teacher, point_prompt)
    assert (done.asked, done.answered, done.already, done.rejected) == (12, 12, 0, 0)
    found = states(filled, teacher, point_prompt)
    assert (found.dtype, found.shape) == (np.float16, (12, WIDTH))
    assert len(np.unique(found, axis=0)) == 12
    annotate_points(filled, teacher, [point_prompt])
    keys = "select image_id, teacher_id, prompt_id, prompt_tokens from points order by all"
    assert rows(filled) == query(filled, keys).to_pylist()


def test_only_what_is_missing_is_asked_for(filled, image_folder, teacher, point_prompt, tmp_path):
    annotate_states(filled, teacher, point_prompt, limit=5)
    assert len(rows(filled)) == 5
    picture(99).save(image_folder / "new.png")
    (tmp_path / "other").mkdir()
    picture(98).save(tmp_path / "other" / "other.png")
    for folder in (image_folder, tmp_path / "other"):
        add_images(filled, folder)
    one = annotate_states(filled, teacher, point_prompt, folder=str(tmp_path / "other"))
    assert (one.asked, one.already) == (1, 0)
    rest = annotate_states(filled, teacher, point_prompt)
    assert (rest.answered, rest.already) == (8, 6)
    none = annotate_states(filled, teacher, point_prompt)
    assert (none.asked, none.already) == (0, 14)
    assert written(filled) == 14


def test_shares_are_disjoint_and_together_all(filled, teacher, point_prompt):
    done = [
        annotate_states(filled, teacher, point_prompt, share=Share(part, 3)).answered
        for part in range(3)
    ]
    assert sum(done) == 12
    assert max(done) < 12
    assert written(filled) == 12


def test_a_piece_handed_out_again_holds_only_what_is_still_missing(filled, teacher, point_prompt):
    prompt_id = teacher.read(point_prompt).prompt_id
    work, _ = plan_states(filled, teacher.teacher_id, prompt_id)
    annotate_states(filled, teacher, point_prompt, limit=5)
    left = unanswered(
        filled, "embeddings", work, teacher_id=teacher.teacher_id, prompt_ids=[prompt_id]
    )
    assert [image.image_id for image in left.stored(left.rows[:, 0])] == [
        image.image_id for image in work.stored(work.rows[5:, 0])
    ]


def test_what_cannot_be_a_state_is_rejected_and_its_neighbours_kept(
    filled, image_folder, teacher, point_prompt
):
    ids = [row["image_id"] for row in query(filled, "from images order by image_id").to_pylist()]
    teacher.kept.spoilt = {ids[2]: np.nan, ids[5]: 7e4, ids[7]: 6e4}
    (image_folder / "image_00.png").unlink()
    gone = query(filled, "from images where name = 'image_00.png'").to_pylist()[0]["image_id"]
    done = annotate_states(filled, teacher, point_prompt, pace=Pace(2, 60))
    lost = {ids[2], ids[5], gone}
    assert (done.answered, done.rejected) == (12 - len(lost), len(lost))
    assert {row["image_id"] for row in rows(filled)} == set(ids) - lost
    told = query(filled, "select * from rejections").to_pylist()
    assert {row["stage"] for row in told} == {"embeddings"}
    assert {row["reason"] for row in told if row["image_id"] != gone} == {"useless_answer"}
    assert "float16" in next(row["detail"] for row in told if row["image_id"] == ids[5])

    teacher.kept.spoilt = {}
    assert annotate_states(filled, teacher, point_prompt).answered == len(lost - {gone})


class Fatal:
    """A real engine that dies of one image."""

    provenance = "fatal"

    def __init__(self, engine: StateEngine, image_id: str) -> None:
        self._engine, self._image_id = engine, image_id

    def stream(self, requests):
        for request in requests:
            if self._image_id in request.image_ids:
                raise EngineFailed("the engine was made to die", where="a test", fix="none")
            yield from self._engine.stream([request])

    def close(self) -> None:
        pass


def test_an_image_that_kills_the_engine_is_refused_and_the_others_are_read(
    filled, teacher, loaded, point_prompt
):
    (first, *_) = query(filled, "select image_id from images order by image_id").to_pylist()
    StatesTeacher.kept = Supervised(
        lambda _: Fatal(loaded.engine, first["image_id"]),
        EngineOptions("float32", max_tiles=1, in_flight=4, max_batch=4),
        refused=StateAnswer.refused,
        pause_s=0.0,
    )
    done = annotate_states(filled, teacher, point_prompt)
    assert (done.answered, done.rejected) == (11, 1)
    (told,) = query(filled, "from rejections").to_pylist()
    assert (told["reason"], told["image_id"]) == ("refused", first["image_id"])


def test_who_gives_no_states_and_what_asks_for_none_is_refused_before_any_work(
    filled, store, teacher, point_prompt, pair_prompt
):
    with pytest.raises(TeacherMissing, match="--engine vllm or transformers"):
        annotate_states(filled, replace(teacher, engine_name="server"), point_prompt)
    with pytest.raises(InputError, match="a point prompt has 1 of"):
        annotate_states(filled, teacher, pair_prompt)
    with pytest.raises(InputError, match="no image below /nowhere"):
        annotate_states(filled, teacher, point_prompt, folder="/nowhere")
    assert not (store.root / "teachers").exists()


@pytest.mark.slow
@pytest.mark.crash
def test_a_run_killed_half_way_and_run_again_equals_an_unbroken_one(
    photos, teacher, point_prompt, tmp_path
):
    folder = tmp_path / "killed"
    words = ["embed", "--model", "tiny", "--engine", "transformers", "--images", photos,
             "--store", folder, "--max-batch", 2, "--in-flight", 2, "--shard-rows", 2]  # fmt: skip
    command = [str(Path(sys.executable).parent / "annotate"), *map(str, words)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    try:
        while len(list(folder.glob("embeddings/teacher=*/[0-9a-f]*.parquet"))) < 3:
            assert run.poll() is None, run.stderr.read()
            assert time.monotonic() < deadline, "no shard appeared in time"
            time.sleep(0.01)
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
    killed = open_store(folder)
    committed = len(rows(killed))
    assert 0 < committed < MANY, "killed half-way"

    done = annotate_states(killed, teacher, point_prompt)
    assert (done.already, done.answered) == (committed, MANY - committed)
    unbroken = create_store(tmp_path / "unbroken")
    add_images(unbroken, photos)
    annotate_states(unbroken, teacher, point_prompt)
    assert rows(killed) == rows(unbroken)
    assert written(killed) == MANY, "each row was written once"
    a, b = (states(one, teacher, point_prompt).astype(float) for one in (killed, unbroken))
    np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(b).max())  # a step of float16


def test_label_rows_times_the_state_are_the_points_score(filled, teacher, point_prompt):
    annotate_points(filled, teacher, [point_prompt])
    annotate_states(filled, teacher, point_prompt)
    points = query(filled, "select level_logprobs, score from points order by image_id")
    found = label_logits(
        teacher.checkpoint, teacher.read(point_prompt).spec, states(filled, teacher, point_prompt)
    )
    expected = np.array(points.column("level_logprobs").to_pylist())
    difference = found - expected  # the softmax's constant, one per image
    assert np.abs(difference - difference.mean(axis=1, keepdims=True)).max() <= 5e-3
    score = unit_score(logit_expectation(found))
    np.testing.assert_allclose(score, points.column("score").to_numpy(), atol=1e-3)


def test_an_engines_own_state_gives_the_score_to_float32(teacher, loaded, point_prompt):
    question = teacher.read(point_prompt)
    shown = (picture(1, size=112),), ("1",)
    (point,) = teacher.start().stream(question.requests(*shown))
    (state,) = loaded.engine.stream(question.requests(*shown))
    logits = label_logits(teacher.checkpoint, question.spec, state.state[np.newaxis])
    expected = logit_expectation(np.array([question.answer([point]).label_logprobs]))
    np.testing.assert_allclose(logit_expectation(logits), expected, atol=1e-5)


def test_the_second_architecture_gives_its_score_too(tmp_path, point_prompt):
    folder = make_tiny_qwen(tmp_path / "tiny-qwen")
    teacher = find_teacher(str(folder), engine="transformers", dtype="float32", max_tiles=2)
    question = teacher.read(point_prompt)
    requests = [
        request
        for number, size in enumerate([(200, 300), (64, 64)])
        for request in question.requests((picture(number).resize(size),), (str(number),))
    ]
    points, engine = teacher.start(), teacher.start_states()
    expected = [question.answer([one]).label_logprobs for one in points.stream(requests)]
    states = np.array([answer.state for answer in engine.stream(requests)])
    for started in (points, engine):
        started.close()
    logits = label_logits(teacher.checkpoint, question.spec, states)
    np.testing.assert_allclose(
        logit_expectation(logits), logit_expectation(np.array(expected)), atol=1e-5
    )


def test_an_output_matrix_of_its_own_stands_before_the_embedding(tmp_path):
    own = torch.arange(12, dtype=torch.bfloat16).reshape(4, 3)
    save_file({"m.embed_tokens.weight": own + 100}, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(output_rows(tmp_path, [2, 0]), [[106, 107, 108], [100, 101, 102]])
    save_file({"lm_head.weight": own}, tmp_path / "b.safetensors")
    np.testing.assert_array_equal(output_rows(tmp_path, [2, 0]), [[6, 7, 8], [0, 1, 2]])
    with pytest.raises(TeacherMissing, match="has 4 rows, and no token 4"):
        output_rows(tmp_path, [4])
    with pytest.raises(TeacherMissing, match=r"no tensor is called lm_head\.weight"):
        output_rows(tmp_path / "none", [0])
    save_file({"lm_head.weight": own.to(torch.int8)}, tmp_path / "b.safetensors")
    with pytest.raises(TeacherMissing, match=r"quantised to torch\.int8"):
        output_rows(tmp_path, [0])


def test_states_of_another_width_and_labels_of_several_tokens_have_no_logits(teacher, point_prompt):
    spec = teacher.read(point_prompt).spec
    with pytest.raises(InputError, match="128 numbers wide"):
        label_logits(teacher.checkpoint, spec, np.zeros((2, WIDTH + 1)))
    several = spec.model_copy(update={"label_sequences": (((1, 2),),) * 5})
    with pytest.raises(InputError, match="a label takes several tokens"):
        label_logits(teacher.checkpoint, several, np.zeros((2, WIDTH)))

"""A small store with SIMULATED states and levels; the quality of each picture is known."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_store.embeddings import state_column
from data_store.images.importer import add_images
from data_store.layout import Store, create_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from data_store.queries import human_scores
from data_store.shards import commit_rows
from schemas.embeddings import embeddings_schema
from schemas.points import POINTS
from schemas.rows import to_table
from schemas.scale import LEVEL_WORDS
from schemas.teacher_spec import PromptSpec, TeacherSpec
from tests.conftest import picture

IMAGES = 48
GROUP = 3
WIDTH = 6


def a_teacher(name: str) -> TeacherSpec:
    digit = f"{sum(name.encode()) % 16:x}"
    return TeacherSpec(
        name=name,
        revision="",
        architecture="simulated",
        weights_sha256=digit * 64,
        preprocessing_sha256="0" * 64,
        max_tiles=1,
        dtype="float32",
        quantization="none",
    )


PROMPT = PromptSpec(
    kind="point",
    text="simulated",
    labels=LEVEL_WORDS,
    label_token_ids=tuple((k,) for k in range(5)),
)


def quality_of(store: Store) -> tuple[list[str], np.ndarray]:
    human = human_scores(store)
    return human["image_id"].to_pylist(), human["mos_unit"].to_numpy()


def simulated_states(quality: np.ndarray, width: int = WIDTH) -> np.ndarray:
    """(N, width): quality in a mixture of directions, most of which say nothing."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((len(quality), width))
    hidden[:, 0] = 3 * quality + 0.1 * hidden[:, 0]
    return hidden @ rng.standard_normal((width, width))


def write_states(
    store: Store, spec: TeacherSpec, ids: list[str], states: np.ndarray, prompt: PromptSpec = PROMPT
) -> None:
    store.write_teacher(spec)
    store.write_prompt(prompt)
    count = len(ids)
    columns = [
        pa.array(ids),
        pa.repeat(spec.teacher_id, count),
        pa.repeat(prompt.prompt_id, count),
        state_column(states),
        pa.nulls(count, pa.int32()),
        pa.nulls(count, pa.int32()),
    ]
    rows = pa.table(columns, schema=embeddings_schema(states.shape[1]))
    commit_rows(store, "embeddings", rows, producer="simulated", teacher_id=spec.teacher_id)


def write_levels(store: Store, spec: TeacherSpec, ids: list[str], logprobs: np.ndarray) -> None:
    store.write_teacher(spec)
    store.write_prompt(PROMPT)
    rows = [
        {
            "image_id": image_id,
            "teacher_id": spec.teacher_id,
            "prompt_id": PROMPT.prompt_id,
            "level_logprobs": [None if np.isnan(one) else float(one) for one in row],
            "given_score": None,
            "given_confidence": None,
            "prompt_tokens": 1,
            "cached_tokens": 0,
        }
        for image_id, row in zip(ids, logprobs, strict=True)
    ]
    commit_rows(
        store, "points", to_table(rows, POINTS), producer="simulated", teacher_id=spec.teacher_id
    )


def simulated_levels(quality: np.ndarray) -> np.ndarray:
    """(N, 5) of a teacher that sees quality well and says it on the upper half of the scale."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(len(quality))
    logits = -((np.arange(5) - 2.0 - 2.0 * quality[:, None] - noise[:, None]) ** 2)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def fill(store: Store, folder: Path, count: int = IMAGES, *, seed: int = 0) -> None:
    """Pictures from blurred to sharp, three to a group, and their quality as MOS."""
    folder.mkdir()
    lines = ["image,mos"]
    groups = {}
    for number in range(count):
        quality = (number * 7 % count) / (count - 1)
        name = f"{seed + number:03d}.png"
        picture(seed + number, size=64, blur=3 * (1 - quality)).save(folder / name)
        lines.append(f"{name},{quality:.4f}")
        groups[name] = f"scene-{(seed + number) // GROUP}"
    table = folder.with_suffix(".csv")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    add_images(store, folder, groups=groups)
    add_mos(store, table, columns=MosColumns(), scale=(0.0, 1.0), source="known quality")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Pictures with MOS and no answers; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("readouts")
    store = create_store(folder / "store")
    fill(store, folder / "images")
    return store


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Store], Store]:
    """A copy of a store that a test may write to."""

    def copied(store: Store) -> Store:
        shutil.copytree(store.root, tmp_path / "copy")
        return create_store(tmp_path / "copy")

    return copied


@pytest.fixture(scope="session")
def answered(pictures: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Pictures with MOS, and a simulated teacher's states and levels of each; not to be changed."""
    folder = tmp_path_factory.mktemp("answered") / "store"
    shutil.copytree(pictures.root, folder)
    store = create_store(folder)
    ids, quality = quality_of(store)
    write_states(store, a_teacher("seer"), ids, simulated_states(quality))
    write_levels(store, a_teacher("seer"), ids, simulated_levels(quality))
    human_scores(store)  # brings the index up to date, once for all copies
    return store


@pytest.fixture
def own(answered: Store, copy_of: Callable[[Store], Store]) -> Store:
    """A copy that a test may write to."""
    return copy_of(answered)

"""A small store with known quality as opinions, and the tiny teacher tuned on it once."""

from collections.abc import Callable

import pytest

from annotate.teachers.teacher import Teacher, find_teacher
from annotate.tuning.settings import TuneSettings
from data_store.images.importer import add_images
from data_store.layout import Store, create_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from tests.conftest import picture

PICTURES = 48
BLURS = 6


@pytest.fixture(scope="session")
def rated_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Forty-eight pictures, sharp to blurred; with known quality as MOS."""
    folder = tmp_path_factory.mktemp("rated")
    (folder / "images").mkdir()
    lines = ["image,mos"]
    for number in range(PICTURES):
        step = number % BLURS
        name = f"{number:02d}.png"
        picture(number, size=112, blur=step / 2).save(folder / "images" / name)
        lines.append(f"{name},{1 - (step + (number % 7) / 10) / BLURS:.3f}")
    (folder / "mos.csv").write_text("\n".join(lines) + "\n")
    store = create_store(folder / "store")
    add_images(store, folder / "images", look_alike_distance=None)
    add_mos(store, folder / "mos.csv", columns=MosColumns(), scale=(0.0, 1.0), source="made")
    return store


@pytest.fixture(scope="session")
def tiny() -> Teacher:
    return find_teacher("tiny", engine="transformers")


@pytest.fixture
def settings() -> Callable[..., TuneSettings]:
    """Settings of a tuning that ends within seconds."""

    def made(**changed: object) -> TuneSettings:
        quick = {"epochs": 2, "batch_size": 8, "rank": 4, "hidden": (16,), "test_fraction": 0.4}
        return TuneSettings.model_validate(quick | changed)

    return made

"""A small store with SIMULATED evidence: drawn pictures, known quality, invented answers."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image, ImageFilter

from data_store.images.importer import add_images
from data_store.layout import Store, create_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from data_store.queries import human_scores
from data_store.settings import load_settings
from data_store.shards import commit_rows
from schemas.pairs import PAIRS
from schemas.points import POINTS
from schemas.rows import to_table
from schemas.teacher_spec import PromptSpec, TeacherSpec
from train.settings import RunSettings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PICTURES_PER_GROUP = 6

# Times say nothing about the claims here, and a busy machine must not fail them.
hypothesis.settings.register_profile("train", deadline=None)
hypothesis.settings.load_profile("train")


def draw_picture(seed: int, blur: float, size_px: int = 64) -> Image.Image:
    """Overlapping discs, blurred by so many pixels."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size_px, size_px, 3), rng.integers(0, 255, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:size_px, :size_px]
    for _ in range(40):
        y, x = rng.integers(0, size_px, 2)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < rng.integers(3, 12) ** 2
        pixels[inside] = rng.integers(0, 255, 3)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(blur))


def write_pictures(folder: Path, count: int) -> None:
    """Pictures from sharp to blurred, six per group, and mos.csv with their known quality."""
    folder.mkdir(parents=True)
    lines = ["image,mos,group"]
    for number in range(count):
        quality = (number * 7 % count) / max(1, count - 1)
        draw_picture(number, blur=3.0 * (1.0 - quality)).save(folder / f"{number:03d}.png")
        lines.append(f"{number:03d}.png,{quality:.4f},scene-{number // PICTURES_PER_GROUP}")
    (folder / "mos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


class SimulatedTeacher:
    """Answers that follow the known quality with noise; no model is behind them."""

    def __init__(self, name: str = "simulated", *, noise: float = 0.05) -> None:
        self._rng = np.random.default_rng(0)
        self._noise = noise
        self.spec = TeacherSpec(
            name=name,
            revision="",
            architecture=name,
            weights_sha256="0" * 64,
            preprocessing_sha256="0" * 64,
            max_tiles=1,
            dtype="float32",
            quantization="none",
        )

    def _prompt_id(self, store: Store, kind: str, labels: tuple[str, ...]) -> str:
        ids = tuple((number,) for number in range(len(labels)))
        prompt = PromptSpec(kind=kind, text=kind, labels=labels, label_token_ids=ids)
        store.write_teacher(self.spec)
        store.write_prompt(prompt)
        return prompt.prompt_id

    def answer_points(self, store: Store, ids: list[str], quality: np.ndarray) -> None:
        prompt_id = self._prompt_id(store, "point", ("bad", "poor", "fair", "good", "excellent"))
        perceived = quality + self._noise * self._rng.standard_normal(len(ids))
        logits = -((np.arange(5) - 4 * perceived[:, None]) ** 2)
        logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        rows = [
            {
                "image_id": image_id,
                "teacher_id": self.spec.teacher_id,
                "prompt_id": prompt_id,
                "level_logprobs": row.tolist(),
                "given_score": None,
                "given_confidence": None,
                "prompt_tokens": 1,
                "cached_tokens": 0,
            }
            for image_id, row in zip(ids, logprobs, strict=True)
        ]
        self._commit(store, "points", to_table(rows, POINTS))

    def answer_pairs(self, store: Store, ids: list[str], quality: np.ndarray) -> None:
        prompt_id = self._prompt_id(store, "pair", ("A", "B"))
        rows = {}
        for _ in range(4):
            order = self._rng.permutation(len(ids))
            for first, second in order[: len(order) // 2 * 2].reshape(-1, 2):
                a, b = sorted((first, second), key=lambda row: ids[row])
                logit = 10 * (quality[a] - quality[b]) + self._rng.standard_normal()
                rows[ids[a], ids[b]] = {
                    "image_a": ids[a],
                    "image_b": ids[b],
                    "teacher_id": self.spec.teacher_id,
                    "prompt_id": prompt_id,
                    "letter_logprobs_ab": _letters(logit),
                    "letter_logprobs_ba": _letters(-logit),
                    "given_preference": None,
                    "prompt_tokens": 1,
                    "cached_tokens": 0,
                }
        self._commit(store, "pairs", to_table(list(rows.values()), PAIRS))

    def bring_scores(self, store: Store, ids: list[str], scores: np.ndarray) -> None:
        """Scores of an outside system: no levels, no confidence."""
        prompt_id = self._prompt_id(store, "point", ("score",))
        rows = [
            {
                "image_id": image_id,
                "teacher_id": self.spec.teacher_id,
                "prompt_id": prompt_id,
                "level_logprobs": [None] * 5,
                "given_score": float(score),
                "given_confidence": None,
                "prompt_tokens": None,
                "cached_tokens": None,
            }
            for image_id, score in zip(ids, scores, strict=True)
        ]
        self._commit(store, "points", to_table(rows, POINTS))

    def bring_winners(self, store: Store, ids: list[str], quality: np.ndarray) -> None:
        """Who is better of neighbours in a list, as an outside system says it: no probability."""
        prompt_id = self._prompt_id(store, "pair", ("winner",))
        rows = []
        for first, second in zip(range(len(ids) - 1), range(1, len(ids)), strict=True):
            a, b = sorted((first, second), key=lambda row: ids[row])
            rows.append(
                {
                    "image_a": ids[a],
                    "image_b": ids[b],
                    "teacher_id": self.spec.teacher_id,
                    "prompt_id": prompt_id,
                    "letter_logprobs_ab": None,
                    "letter_logprobs_ba": None,
                    "given_preference": float(quality[a] > quality[b]),
                    "prompt_tokens": None,
                    "cached_tokens": None,
                }
            )
        self._commit(store, "pairs", to_table(rows, PAIRS))

    def _commit(self, store: Store, table: str, rows: object) -> None:
        commit_rows(store, table, rows, producer="simulated", teacher_id=self.spec.teacher_id)


def _letters(logit: float) -> list[float]:
    return [-float(np.logaddexp(0, -logit)), -float(np.logaddexp(0, logit))]


BuildStore = Callable[..., Store]


@pytest.fixture(scope="session")
def build_store() -> BuildStore:
    """Make a store below a folder: `count` pictures, simulated answers, known quality as MOS."""

    def build(
        folder: Path, count: int = 90, *, points: bool = True, pairs: bool = True, mos: bool = True
    ) -> Store:
        write_pictures(folder / "images", count)
        store = create_store(folder / "store")
        csv = folder / "images" / "mos.csv"
        lines = [line.split(",") for line in csv.read_text(encoding="utf-8").splitlines()[1:]]
        add_images(store, folder / "images", groups={name: group for name, _, group in lines})
        add_mos(store, csv, columns=MosColumns(), scale=(0.0, 1.0), source="known quality")
        human = human_scores(store)
        ids, quality = human["image_id"].to_pylist(), human["mos_unit"].to_numpy()
        if not mos:
            for shard in (store.root / "mos").iterdir():
                shard.unlink()
        teacher = SimulatedTeacher()
        if points:
            teacher.answer_points(store, ids, quality)
        if pairs:
            teacher.answer_pairs(store, ids, quality)
        return store

    return build


@pytest.fixture(scope="session")
def simulated_store(tmp_path_factory: pytest.TempPathFactory, build_store: BuildStore) -> Store:
    """Ninety pictures in fifteen groups, judged by a simulated teacher; not to be changed."""
    return build_store(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="session")
def settings() -> Callable[..., RunSettings]:
    """Settings of a run that ends within seconds, with overrides."""

    def load(*overrides: str) -> RunSettings:
        return load_settings(RunSettings, CONFIGS / "quick_test.toml", overrides)

    return load


@pytest.fixture(autouse=True)
def _no_model_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without it a missing model is asked for five times over a network that may not be there.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

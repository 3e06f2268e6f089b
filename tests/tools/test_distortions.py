import numpy as np
import pytest
from PIL import Image

from tools.crops import BUSY_STEP, CROP_PX, draw_crop
from tools.distortions import KINDS, Degradation, degrade, distort, draw_degradation
from tools.procedural_scenes import draw_scene

SEVERITIES = (0.0, 0.1, 0.3, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def crop() -> Image.Image:
    return draw_crop(draw_scene("leaves-0", 0), np.random.default_rng(0), shrink=(1.0, 2.0))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_severity(crop: Image.Image, kind: str) -> None:
    damage = [
        np.square(pixels(distort(crop, kind, s, np.random.default_rng(0))) - pixels(crop)).mean()
        for s in SEVERITIES
    ]
    assert damage[0] == 0.0
    assert (np.diff(damage) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_gives_the_same_pixels(crop: Image.Image, kind: str) -> None:
    first = distort(crop, kind, 0.6, np.random.default_rng(5))
    assert first.size == crop.size
    assert first.mode == "RGB"
    assert first.tobytes() == distort(crop, kind, 0.6, np.random.default_rng(5)).tobytes()


def test_wrong_severity_and_unknown_kind_are_refused(crop: Image.Image) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="outside"):
        distort(crop, "blur", 1.2, rng)
    with pytest.raises(ValueError, match="unknown distortion"):
        distort(crop, "fog", 0.5, rng)


def test_known_quality_multiplies_what_each_kind_leaves() -> None:
    assert Degradation(()).known_quality == 1.0
    assert Degradation((("blur", 0.25),)).known_quality == pytest.approx(0.75)
    mixed = Degradation((("blur", 0.5), ("jpeg", 0.2)))
    assert mixed.known_quality == pytest.approx(0.4)
    assert mixed.kind == "blur+jpeg"


def test_nothing_done_leaves_the_crop(crop: Image.Image) -> None:
    left = degrade(crop, Degradation(()), np.random.default_rng(0))
    assert left.tobytes() == crop.tobytes()


def test_draws_cover_quality_evenly_with_singles_and_mixtures() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_degradation(rng) for _ in range(4000)]
    quality = np.array([degradation.known_quality for degradation in drawn])
    counts = np.bincount([len(degradation.severities) for degradation in drawn])
    assert quality.min() > 0
    assert np.histogram(quality, bins=5, range=(0, 1))[0].min() > 600
    assert len(counts) == 4
    assert counts.min() > 150
    for degradation in drawn:
        kinds = [kind for kind, _ in degradation.severities]
        assert kinds == sorted(kinds, key=KINDS.index)
        assert all(0 < severity <= 1 for _, severity in degradation.severities)


def test_a_crop_is_taken_where_there_is_detail() -> None:
    half_flat = np.full((448, 448, 3), 128, dtype=np.uint8)
    half_flat[:, 300:] = np.random.default_rng(0).integers(0, 256, (448, 148, 3))
    rng = np.random.default_rng(0)
    for _ in range(5):
        grey = pixels(draw_crop(Image.fromarray(half_flat), rng, shrink=(1.0, 1.2)).convert("L"))
        assert grey.shape == (CROP_PX, CROP_PX)
        assert np.abs(np.diff(grey)).mean() + np.abs(np.diff(grey, axis=0)).mean() > BUSY_STEP / 2

import numpy as np
import pytest
import torch

from schemas.errors import ImageError
from train.dataset import Pictures
from train.settings import ImageSettings

ROWS = np.arange(12)


@pytest.fixture
def paths(tmp_path):
    from PIL import Image

    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    return [str(path) for path in sorted(tmp_path.iterdir())]


def _pictures(paths, **changes):
    given = {"crop_px": 40, "short_side_px": None, "threads": 1, **changes}
    return Pictures(paths, ImageSettings(**given))


def _views(pictures, *, epoch=0):
    batches = [ROWS[5:], ROWS[:5]]
    return list(pictures.training_batches(batches, seed=1, epoch=epoch))


def test_views_depend_on_neither_threads_nor_what_is_kept_in_memory(paths):
    expected = _views(_pictures(paths))
    for threads, cache_bytes in ((1, 0), (4, 20_000), (4, 10**9)):
        pictures = _pictures(paths, threads=threads, cache_bytes=cache_bytes)
        pictures.check(lambda: None)
        found = _views(pictures)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_another_epoch_gives_other_views(paths):
    pictures = _pictures(paths)
    assert not torch.equal(_views(pictures)[0], _views(pictures, epoch=1)[0])


def test_kept_pictures_are_not_decoded_again(paths):
    from pathlib import Path

    pictures = _pictures(paths)
    pictures.check(lambda: None)
    for path in paths:
        Path(path).unlink()
    assert len(_views(pictures)) == 2


def test_no_more_bytes_are_kept_than_allowed(paths):
    from pathlib import Path

    pictures = _pictures(paths, cache_bytes=3 * 50 * 60 * 3)
    pictures.check(lambda: None)
    for path in paths:
        Path(path).unlink()
    assert len(list(pictures.centre_batches(ROWS[:3], batch_size=2))) == 2
    with pytest.raises(ImageError, match=r"03\.png"):
        list(pictures.centre_batches(ROWS[3:4], batch_size=2))


def test_centre_views_come_in_the_order_of_the_rows(paths):
    pictures = _pictures(paths, threads=4)
    rows = ROWS[::-1]
    together = torch.cat(list(pictures.centre_batches(rows, batch_size=5)))
    alone = [next(iter(pictures.centre_batches(rows[i : i + 1], batch_size=1))) for i in range(12)]
    assert together.shape == (12, 3, 40, 40)
    assert torch.equal(together, torch.cat(alone))


def test_pictures_that_cannot_be_decoded_are_found_before_training(paths):
    from pathlib import Path

    data = Path(paths[3]).read_bytes()
    Path(paths[3]).write_bytes(data[: len(data) // 2])
    Path(paths[7]).unlink()
    seen = []
    failures = _pictures(paths).check(lambda: seen.append(1))
    assert {row: error.reason for row, error in failures.items()} == {
        3: "truncated",
        7: "unreadable",
    }
    assert len(seen) == 12

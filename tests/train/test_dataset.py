from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from schemas.errors import ImageError
from schemas.ids import sha256_file
from train.dataset import Pictures
from train.settings import ImageSettings

ROWS = np.arange(12)


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (50, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def ids(paths):
    return [sha256_file(Path(path)) for path in paths]


@pytest.fixture
def opened(tmp_path, paths, ids):
    """Open the twelve pictures, checked, with a cache of this test's own."""

    def open_pictures(*, cached=True, checked=True, **changes):
        given = {"crop_px": 40, "short_side_px": None, "threads": 1, **changes}
        folder = tmp_path / "cache" if cached else None
        pictures = Pictures(ids, paths, ImageSettings(**given), folder)
        if checked:
            pictures.check(lambda: None)
        return pictures

    return open_pictures


def _views(pictures, *, epoch=0):
    batches = [ROWS[5:], ROWS[:5]]
    return list(pictures.training_batches(batches, seed=1, epoch=epoch))


def test_views_depend_on_neither_threads_nor_what_is_cached(opened):
    expected = _views(opened(cached=False, checked=False))
    for threads, cache_bytes in ((1, 0), (4, 20_000), (4, 10**9), (1, 10**9)):
        found = _views(opened(threads=threads, cache_bytes=cache_bytes))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_another_epoch_gives_other_views(opened):
    pictures = opened()
    assert not torch.equal(_views(pictures)[0], _views(pictures, epoch=1)[0])


def test_every_picture_is_decoded_once_whatever_is_done_with_it_later(opened):
    pictures = opened()
    for epoch in range(2):
        _views(pictures, epoch=epoch)
    list(pictures.centre_batches(ROWS, batch_size=5))
    assert pictures.decode_count == 12


def test_another_run_decodes_nothing_and_needs_no_files(opened, paths):
    expected = _views(opened())
    for path in paths:
        Path(path).unlink()
    again = opened()
    assert all(torch.equal(a, b) for a, b in zip(_views(again), expected, strict=True))
    assert again.decode_count == 0


def test_what_has_no_room_is_decoded_in_every_epoch_and_said_once(opened, capsys):
    pictures = opened(cache_bytes=3 * (50 * 60 * 3 + 52) + 100)
    _views(pictures)
    assert pictures.decode_count == 12 + 9
    said = capsys.readouterr().err
    assert said.count("9 of 12 pictures are decoded anew in every epoch") == 1
    assert "images.cache_bytes" in said


def test_a_cache_that_cannot_be_written_is_said_and_done_without(opened, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file, not a folder")
    assert len(_views(opened())) == 2
    assert "12 of 12 pictures are decoded anew" in capsys.readouterr().err


def test_centre_views_come_in_the_order_of_the_rows(opened):
    pictures = opened(threads=4)
    rows = ROWS[::-1]
    together = torch.cat(list(pictures.centre_batches(rows, batch_size=5)))
    alone = [next(iter(pictures.centre_batches(rows[i : i + 1], batch_size=1))) for i in range(12)]
    assert together.shape == (12, 3, 40, 40)
    assert torch.equal(together, torch.cat(alone))


def test_pictures_that_cannot_be_had_are_found_before_training(opened, paths):
    data = Path(paths[3]).read_bytes()
    seen = []
    pictures = opened(checked=False)
    Path(paths[3]).write_bytes(data[: len(data) // 2])
    Path(paths[5]).write_bytes(Path(paths[6]).read_bytes())
    Path(paths[7]).unlink()
    failures = pictures.check(lambda: seen.append(1))
    assert {row: error.reason for row, error in failures.items()} == {
        3: "changed",
        5: "changed",
        7: "unreadable",
    }
    assert len(seen) == 12


def test_a_failure_is_remembered_for_the_run_and_tried_again_in_the_next(opened, paths):
    data = Path(paths[3]).read_bytes()
    Path(paths[3]).unlink()
    pictures = opened()
    Path(paths[3]).write_bytes(data)
    with pytest.raises(ImageError, match="cannot be read"):
        list(pictures.centre_batches(ROWS[3:4], batch_size=1))
    again = opened()
    assert len(list(again.centre_batches(ROWS[3:4], batch_size=1))) == 1
    assert again.decode_count == 1


def test_a_picture_that_is_damaged_by_nature_is_named_with_its_reason(tmp_path):
    path = tmp_path / "half.png"
    Image.new("RGB", (64, 64), "red").save(path)
    path.write_bytes(path.read_bytes()[:100])
    pictures = Pictures([sha256_file(path)], [str(path)], ImageSettings(), tmp_path / "cache")
    assert pictures.check(lambda: None)[0].reason == "truncated"


def test_pictures_inside_a_parquet_file_are_read_out_of_it_once(tmp_path, paths, ids):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"image": [Path(path).read_bytes() for path in paths]}), table)
    inside = [f"{table}::image/{row}" for row in range(12)]
    settings = ImageSettings(crop_px=40, short_side_px=None, threads=2)
    pictures = Pictures(ids, inside, settings, tmp_path / "cache")
    assert pictures.check(lambda: None) == {}
    table.unlink()
    assert len(_views(pictures)) == 2

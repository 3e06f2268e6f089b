import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from train import pixel_cache
from train.pixel_cache import PixelCache, pixel_cache_folder

GIB = 1024**3


def _id(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def _pixels(number):
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (40 + number % 3, 60, 3), dtype=np.uint8)


def _opened(folder, count=6, *, limit_bytes=GIB, preparation="plain"):
    return PixelCache(
        folder, preparation, [_id(number) for number in range(count)], limit_bytes=limit_bytes
    )


def _filled(folder, numbers=range(6), **changes):
    cache = _opened(folder, max(numbers) + 1, **changes)
    for number in numbers:
        cache.keep(_id(number), _pixels(number))
    cache.commit()
    return cache


def _found(cache, count=6):
    return [cache.check(_id(number)) for number in range(count)]


def _segments(folder):
    return sorted(folder.glob("*/*.pixels"))


def _aged(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_pictures_of_any_shape_come_back_byte_for_byte(tmp_path):
    _filled(tmp_path)
    cache = _opened(tmp_path)
    assert all(np.array_equal(cache.find(_id(n)), _pixels(n)) for n in range(6))
    assert cache.find(_id(7)) is None
    with pytest.raises(ValueError, match="read-only"):
        cache.find(_id(0))[0, 0, 0] = 1


def test_another_preparation_shares_nothing(tmp_path):
    _filled(tmp_path)
    assert not any(_found(_opened(tmp_path, preparation="other")))


def test_nothing_is_seen_of_a_segment_before_it_is_whole(tmp_path):
    writing = _opened(tmp_path)
    writing.keep(_id(0), _pixels(0))
    assert not any(_found(_opened(tmp_path)))
    writing.commit()
    assert _found(_opened(tmp_path)) == [True] + 5 * [False]


def test_a_large_set_is_committed_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_cache, "SEGMENT_BYTES", 15_000)
    _filled(tmp_path)
    assert len(_segments(tmp_path)) == 2
    assert all(_found(_opened(tmp_path)))


@pytest.mark.parametrize("kept_bytes", [0, 7, 60, 9_000, -1])
def test_a_torn_segment_is_deleted_and_made_anew(tmp_path, kept_bytes):
    _filled(tmp_path)
    path = _segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:kept_bytes])
    cache = _opened(tmp_path)
    assert not any(_found(cache))
    assert not path.exists()
    assert all(_found(_filled(tmp_path)))


def test_a_segment_with_a_damaged_index_is_not_believed(tmp_path):
    _filled(tmp_path)
    path = _segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert not any(_found(_opened(tmp_path)))


def test_a_damaged_picture_is_forgotten_and_the_others_serve(tmp_path):
    _filled(tmp_path)
    path = _segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    cache = _opened(tmp_path)
    assert _found(cache) == [False] + 5 * [True]
    assert cache.find(_id(0)) is None
    cache.keep(_id(0), _pixels(0))
    cache.commit()
    assert all(_found(cache))
    assert _found(_opened(tmp_path)) == [True] + 5 * [False]


def test_the_folder_stays_below_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_cache, "SEGMENT_BYTES", 15_000)
    limit = 30_000
    cache = _opened(tmp_path, 9, limit_bytes=limit)
    kept = [cache.keep(_id(n), _pixels(n)) for n in range(9)]
    cache.commit()
    assert kept == _found(cache, 9)
    assert 2 <= sum(kept) < 9
    assert sum(path.stat().st_size for path in _segments(tmp_path)) <= limit


def test_what_was_not_used_for_longest_makes_room_first(tmp_path):
    for number, age_s in ((0, 300), (1, 200), (2, 100)):
        _filled(tmp_path, [number], preparation=f"run-{number}")
        _aged(_segments(tmp_path)[-1], age_s)
    size = sum(path.stat().st_size for path in _segments(tmp_path))
    _opened(tmp_path, 1, preparation="run-0")  # is used, and so is the youngest
    _filled(tmp_path, [3], preparation="run-3", limit_bytes=size)
    assert {path.parent.name for path in _segments(tmp_path)} == {"run-0", "run-2", "run-3"}


def test_what_a_process_uses_is_never_deleted(tmp_path):
    used = _filled(tmp_path)
    _aged(_segments(tmp_path)[0], 1000)
    other = _opened(tmp_path, preparation="other", limit_bytes=60_000)
    assert [other.keep(_id(n), _pixels(n)) for n in range(6)] == [True, True] + 4 * [False]
    assert all(_found(used))
    del used
    assert len(_segments(tmp_path)) == 1
    assert all(_found(_filled(tmp_path, preparation="other", limit_bytes=60_000)))


def test_a_limit_that_was_lowered_is_kept_at_the_next_opening(tmp_path):
    _filled(tmp_path)
    assert not any(_found(_opened(tmp_path, preparation="other", limit_bytes=1)))
    assert _segments(tmp_path) == []


def test_a_run_goes_on_when_the_cache_is_deleted_and_the_next_begins_anew(tmp_path):
    from shutil import rmtree

    _filled(tmp_path / "cache")
    cache = _opened(tmp_path / "cache", 7)
    cache.keep(_id(6), _pixels(6))
    rmtree(tmp_path / "cache")
    cache.commit()
    assert all(_found(cache, 7))
    assert cache.trouble is None
    assert not any(_found(_opened(tmp_path / "cache")))


def test_what_a_killed_process_left_is_cleared_away_in_time(tmp_path):
    import signal

    program = """
import os, signal, sys
from pathlib import Path
import numpy as np
from train.pixel_cache import PixelCache
cache = PixelCache(Path(sys.argv[1]), "plain", ["00" * 32], limit_bytes=2**30)
cache.keep("00" * 32, np.zeros((40, 60, 3), np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "plain").iterdir()
    _opened(tmp_path)
    assert left.exists()  # it could be about to be written
    _aged(left, 2 * pixel_cache.ABANDONED_S)
    _opened(tmp_path)
    assert not left.exists()


def test_a_segment_that_is_being_written_is_left_alone_however_old(tmp_path):
    writing = _opened(tmp_path)
    writing.keep(_id(0), _pixels(0))
    (temporary,) = (tmp_path / "plain").iterdir()
    _aged(temporary, 2 * pixel_cache.ABANDONED_S)
    _opened(tmp_path)
    writing.commit()
    assert writing.check(_id(0))


def test_two_writers_at_once_both_find_everything(tmp_path):
    first, second = _opened(tmp_path), _opened(tmp_path)
    for number in range(6):
        for cache, order in ((first, number), (second, 5 - number)):
            assert cache.keep(_id(order), _pixels(order))
    first.commit()
    second.commit()
    for cache in (first, second, _opened(tmp_path)):
        assert all(_found(cache))
        assert all(np.array_equal(cache.find(_id(n)), _pixels(n)) for n in range(6))


def test_what_another_process_committed_meanwhile_is_found(tmp_path):
    slow = _opened(tmp_path)
    slow.keep(_id(0), _pixels(0))
    _filled(tmp_path, range(1, 6))
    slow.commit()
    assert all(_found(slow))


def test_a_full_disk_ends_the_writing_and_nothing_else(tmp_path, monkeypatch):
    _filled(tmp_path, [0])
    cache = _opened(tmp_path)

    def full(_descriptor, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("train.pixel_segment.os.write", full)
    assert not cache.keep(_id(1), _pixels(1))
    cache.commit()
    assert cache.trouble == "No space left on device"
    assert _found(cache) == [True] + 5 * [False]
    assert len(list((tmp_path / "plain").iterdir())) == 1


def test_the_disk_is_not_filled_to_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_cache, "SPARED_BYTES", 2**60)
    assert not any(_found(_filled(tmp_path)))


def test_the_user_can_move_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path))
    assert pixel_cache_folder() == tmp_path / "pixels"


def test_processes_that_fill_and_empty_the_cache_at_once_never_see_a_wrong_picture(tmp_path):
    program = """
import hashlib, sys
from pathlib import Path
import numpy as np
from train import pixel_cache
pixel_cache.SEGMENT_BYTES, pixel_cache.ABANDONED_S = 30_000, 0.0
ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(40)]
rng = np.random.default_rng(int(sys.argv[2]))
for turn in range(25):
    wanted = rng.permutation(40)[:15]
    folder = ("plain", "other")[int(rng.integers(2))]
    cache = pixel_cache.PixelCache(
        Path(sys.argv[1]), folder, [ids[n] for n in wanted], limit_bytes=100_000
    )
    for number in wanted:
        if not cache.check(ids[number]):
            cache.keep(ids[number], np.full((40 + number % 3, 50, 3), number, np.uint8))
    cache.commit()
    assert cache.trouble is None, cache.trouble
    for number in wanted:
        found = cache.find(ids[number])
        assert found is None or (found.shape[0] == 40 + number % 3 and (found == number).all())
"""
    command = [sys.executable, "-c", program, tmp_path]
    workers = [subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE) for seed in range(3)]
    said = [worker.communicate()[1].decode() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    assert not [path for path in (tmp_path).glob("*/.tmp-*")]

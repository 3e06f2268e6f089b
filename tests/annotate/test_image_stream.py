"""Images decoded ahead of their use: in order, a bounded number, and whatever they hold."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from annotate.decoder_processes import DecoderProcesses
from annotate.image_stream import FULL, Decoding, Needing, StoredImage, open_stored, shown
from annotate.teachers.engine import TokenRequest
from annotate.teachers.image_tokens import ImageTokens
from schemas.ids import sha256_file
from tests.conftest import picture

COUNT = 24
POISON_PX = 37
WAYS = pytest.mark.parametrize("processes", [0, 2], ids=["threads", "processes"])


def stored(path: Path) -> StoredImage:
    return StoredImage(sha256_file(path), str(path))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[StoredImage]:
    folder = tmp_path_factory.mktemp("stream")
    for number in range(COUNT):
        picture(number).save(folder / f"{number:02d}.png")
    return [stored(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> StoredImage:
    """A JPEG of 12 megapixels with detail at every scale."""
    rng = np.random.default_rng(0)
    canvas = np.zeros((3000, 4000, 3))
    for side in (8, 40, 200, 1000):
        noise = rng.uniform(0, 64, (3000 // side + 1, 4000 // side + 1, 3)).astype(np.uint8)
        canvas += np.asarray(Image.fromarray(noise).resize((4000, 3000), Image.Resampling.BICUBIC))
    path = tmp_path_factory.mktemp("photograph") / "large.jpg"
    Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return stored(path)


def needing(images: list[StoredImage]) -> Iterator[Needing[str]]:
    return (Needing(image.path, (image,)) for image in images)


def seen(width: int, height: int) -> tuple[int, int]:
    """What a model of 112 px sees."""
    return min(112, width), min(112, height)


def seen_or_dead(width: int, height: int) -> tuple[int, int]:
    """Kills the process that decodes a picture of a certain width."""
    if width == POISON_PX:
        os.kill(os.getpid(), signal.SIGKILL)
    return width, height


@WAYS
def test_images_come_in_order_with_the_pixels_of_their_files(processes, images):
    for number, one in enumerate(shown(needing(images), processes=processes)):
        assert one.work == images[number].path
        assert one.failure is None
        assert one.images[0].tobytes() == picture(number).tobytes()
    assert number == COUNT - 1


@WAYS
def test_an_image_that_cannot_be_shown_fails_alone(processes, images, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    broken = stored(tmp_path / "no.png")
    changed = StoredImage("0" * 64, images[3].path)
    gone = StoredImage("0" * 64, str(tmp_path / "gone.png"))
    pairs = [(images[0], broken), (changed, images[1]), (gone, broken), (images[0], images[1])]
    found = list(shown([Needing("", pair) for pair in pairs], processes=processes))
    reasons = [(one.failure.reason, one.failure.where) for one in found if one.failure]
    assert reasons == [
        ("not_an_image", broken.path),
        ("changed", changed.path),
        ("unreadable", gone.path),
    ]
    assert [len(one.images) for one in found] == [0, 0, 0, 2]


def test_a_picture_that_kills_its_decoder_fails_alone(images, tmp_path):
    picture(0, size=POISON_PX).save(tmp_path / "poison.png")
    poison = stored(tmp_path / "poison.png")
    asked = [*images[:10], poison, *images[10:], poison]
    decoding = Decoding("shrunk", seen_or_dead)
    found = list(shown(needing(asked), decoding=decoding, processes=2))
    assert [n for n, one in enumerate(found) if one.failure] == [10, COUNT + 1]
    assert found[10].failure.reason == "decoder_died"
    assert found[10].failure.where == poison.path
    assert all(one.images[0].size == (48, 48) for one in found if not one.failure)


def test_a_decoder_that_is_killed_once_costs_nothing(images):
    stream = shown(needing(images * 4), processes=1, ahead=8)
    next(stream)
    os.kill(*decoders(), signal.SIGKILL)
    assert [one.failure for one in stream] == [None] * (4 * COUNT - 1)


@pytest.mark.parametrize(("settings", "most"), [({"ahead": 8}, 8), ({"ahead_bytes": 1}, 1)])
def test_work_is_drawn_no_further_ahead_than_allowed(settings, most, images):
    drawn = 0

    def counted() -> Iterator[Needing[str]]:
        nonlocal drawn
        for one in needing(images):
            drawn += 1
            yield one

    for done, _ in enumerate(shown(counted(), processes=1, **settings)):
        assert drawn - done <= most
    assert drawn == COUNT


@WAYS
def test_an_image_that_recurs_is_decoded_once(processes, images):
    order = [0, 1, 0, 2, 0, 1]
    work = [Needing("", (images[0], images[n])) for n in order]
    found = [one.images for one in shown(work, processes=processes, ahead=3)]
    assert all(pair[0] is found[0][0] for pair in found)
    assert found[0][1] is found[0][0]
    assert found[5][1] is found[1][1]


def test_large_images_are_forgotten_and_small_ones_kept(photograph, tmp_path):
    large = []
    for number in range(3):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(Path(photograph.path).read_bytes() + b"\0" * number)
        large.append(stored(path))
    asked = [*large, large[0], *large]
    found = [one.images[0] for one in shown(needing(asked), processes=0, ahead=1)]
    assert found[3] is not found[0], "48 MB each, and 64 MB are kept"
    assert found[4] is found[3]
    assert found[3].tobytes() == found[0].tobytes()
    # More is in use than may be kept, and still nothing is dropped that is waited for.
    together = [Needing("", tuple(large[:count])) for count in (2, 2, 3)]
    assert [len(one.images) for one in shown(together, processes=0, ahead=2)] == [2, 2, 3]


def test_a_large_photograph_is_shrunk_to_twice_what_is_seen_and_no_further(photograph):
    assert open_stored(photograph).size == (4000, 3000)
    small = open_stored(photograph, Decoding("shrunk", seen))
    assert small.size == (500, 375)  # an eighth; the next whole factor would be below 224
    png = Path(photograph.path).with_suffix(".png")
    open_stored(photograph).resize((1000, 700)).save(png)
    assert open_stored(stored(png), Decoding("shrunk", seen)).size == (334, 234)  # a third


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_seen_is_that_of_the_image_as_shown(orientation, photograph, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    with Image.open(photograph.path) as image:
        image.save(path, exif=exif)

    def wide(width: int, height: int) -> tuple[int, int]:
        return (500, 100) if width > height else (100, 500)

    found = open_stored(stored(path), Decoding("shrunk", wide))
    assert found.size == ((1000, 750) if orientation == 1 else (750, 1000))


@WAYS
def test_small_images_are_the_same_to_the_byte_when_shrunk(processes, images, tmp_path):
    picture(1, size=220).save(tmp_path / "a.jpg", quality=80)
    asked = [*images, stored(tmp_path / "a.jpg")]
    decodings = (FULL, Decoding("shrunk", seen))
    full, shrunk = (
        [one.images[0].tobytes() for one in shown(needing(asked), decoding=d, processes=processes)]
        for d in decodings
    )
    assert full == shrunk


@pytest.mark.filterwarnings("ignore")
def test_the_teacher_hardly_sees_the_difference(photograph, tiny_teacher, point_prompt):
    config = json.loads((tiny_teacher.checkpoint / "config.json").read_text())
    decoding = Decoding("shrunk", ImageTokens.of_config(config, 1).shown_size)
    (reading,) = tiny_teacher.read(point_prompt).readings
    asked = [
        TokenRequest((open_stored(photograph, one),), ("",), *reading) for one in (FULL, decoding)
    ]
    full, shrunk = (np.array(one.logprobs) for one in tiny_teacher.start().stream(asked))
    levels = np.arange(1, 6)
    scores = [np.exp(one) @ levels / np.exp(one).sum() for one in (full, shrunk)]
    assert abs(scores[0] - scores[1]) < 0.05


def test_shrunk_decoding_without_a_size_is_refused():
    with pytest.raises(ValueError, match="needs shown_size"):
        Decoding("shrunk")


def decoders(parent: int | None = None) -> list[int]:
    """Our decoding processes, or another's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
            words = entry.with_name("cmdline").read_text()
        except OSError:
            continue
        if "annotate.decoder" in words and int(fields[1]) == (parent or os.getpid()):
            found.append(int(entry.parent.name))
    return found


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_leaving_early_ends_the_processes(images):
    stream = shown(needing(images), processes=2)
    next(stream)
    pids = decoders()
    assert len(pids) == 2
    stream.close()
    assert gone(pids)


def test_an_unexpected_error_in_a_decoder_is_raised_here(monkeypatch):
    only_here = ModuleType("only_here")
    only_here.ghost = ghost = lambda: None
    ghost.__module__, ghost.__qualname__ = "only_here", "ghost"
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    pool = DecoderProcesses(1)
    try:
        with pytest.raises(TypeError, match="int"):
            pool.submit(partial(int, None), where="").result()
        with pytest.raises(ModuleNotFoundError, match="only_here"):
            pool.submit(ghost, where="").result()
    finally:
        pool.close()


def test_decoders_that_die_of_everything_are_a_bug_and_no_rejections():
    pool = DecoderProcesses(1)
    try:
        futures = [pool.submit(partial(os._exit, 1), where="") for _ in range(9)]
        with pytest.raises(RuntimeError, match="die of whatever they are given"):
            futures[7].result()
        with pytest.raises(RuntimeError, match="die of whatever they are given"):
            futures[8].result()
    finally:
        pool.close()


LOOKING = """
import signal, sys
from itertools import cycle
from annotate.image_stream import Needing, StoredImage, shown
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
image = StoredImage(*sys.argv[1:])
for number, one in enumerate(shown((Needing(0, (image,)) for _ in cycle([0])), processes=2)):
    if number == 100:
        print("looking", flush=True)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_no_decoder_outlives_its_parent_or_says_a_word(stop, images):
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKING, *images[0]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "looking\n"
    pids = decoders(process.pid)
    assert len(pids) == 2
    os.killpg(process.pid, stop)  # as Ctrl-C does
    _, said = process.communicate(timeout=20)
    assert said == ""
    assert process.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert gone(pids)

"""How fast do the two engines answer on this machine, how far are they apart, and what feeds them?

    python -m benchmarks.engines --images 600

The tiny teacher judges demo images through each engine, in this process, after a warm-up on other
images; engine start is left out. The answers are the same to rounding, which is measured too. vLLM
is also given all requests at once, which a stream must not be slower than. Then images are decoded
without an engine: photographs of 12 megapixels in full against shrunk, and they and small images by
processes against threads.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from annotate.image_stream import FULL, Decoding, Needing, StoredImage, shown
from annotate.prompts import shipped_prompt
from annotate.questions import Question
from annotate.teachers.engine import EngineName, TokenAnswer, TokenEngine, TokenRequest
from annotate.teachers.image_tokens import TILED, ImageTokens
from annotate.teachers.teacher import find_teacher
from benchmarks.record import record
from data_store.images.pictures import open_rgb
from schemas.ids import sha256_file
from tools.make_demo_images import make_demo_images

WARM_UP = 64
TURNS = 8
PER_TURN = 200
PHOTOGRAPHS = 24
PHOTOGRAPH_PX = (4000, 3000)
SMALL_COPIES = 5


def measure(engine_name: EngineName, images: list[Image.Image]) -> np.ndarray:
    """Record points and pairs per second; returns the (N, 5) log-probabilities."""
    teacher = find_teacher("tiny", engine=engine_name)
    engine = teacher.start()
    point = teacher.read(shipped_prompt("point"))
    pair = teacher.read(shipped_prompt("pair"))
    named = [(image, str(number)) for number, image in enumerate(images)]
    points = [_request(point, one) for one in named]
    pairs = [
        _request(pair, *order)
        for first, second in zip(named[::2], named[1::2], strict=False)
        for order in ((first, second), (second, first))
    ]
    answers: list[TokenAnswer] = []
    for name, requests, per_row in (("points", points, 1), ("pairs", pairs, 2)):
        list(engine.stream(requests[:WARM_UP]))
        start = time.perf_counter()
        found = list(engine.stream(iter(requests[WARM_UP:])))
        rate = len(found) / per_row / (time.perf_counter() - start)
        record("engines", f"{engine_name}_{name}", rate, f"{name}/s")
        answers = answers or found
    engine.close()
    return np.array([answer.logprobs for answer in answers])


def stream_against_one_batch(images: list[Image.Image]) -> None:
    """Record how a stream of vLLM compares with one call that is given everything."""
    from annotate.teachers.vllm_engine import VllmEngine

    teacher = find_teacher("tiny", engine="vllm")
    engine = VllmEngine(teacher.checkpoint, teacher.options)
    point = teacher.read(shipped_prompt("point"))
    vllm, llm = engine._vllm, engine._llm
    parameters = vllm.SamplingParams(
        max_tokens=1,
        temperature=0.0,
        logprob_token_ids=list(point.readings[0].token_ids),
        detokenize=False,
    )
    ratios = []
    for turn in range(TURNS):  # images are turned and shifted, so that no cache knows them
        changed = [ImageChops.offset(image.rotate(90 * turn), turn) for image in images[:PER_TURN]]
        prompts = [
            {"prompt": point.readings[0].text, "multi_modal_data": {"image": [image]}}
            for image in changed
        ]
        requests = [_request(point, (one, f"{turn}-{n}")) for n, one in enumerate(changed)]
        seconds = {}
        ways: dict[str, Callable[[], object]] = {
            "stream": partial(_drain, engine, requests),
            "one batch": partial(llm.generate, prompts, parameters, use_tqdm=False),
        }
        for name in sorted(ways, reverse=turn % 2 == 0):
            llm.reset_prefix_cache()
            llm.reset_mm_cache()
            start = time.perf_counter()
            ways[name]()
            seconds[name] = time.perf_counter() - start
        ratios.append(seconds["one batch"] / seconds["stream"])
    engine.close()
    record("engines", "vllm_stream_over_one_batch", float(np.median(ratios[1:])), "x")


def decoding(small: list[Path], folder: Path) -> None:
    """Record images decoded per second: in full and shrunk, by processes and by threads."""
    large = _photographs(folder)
    for name, paths in (("12_megapixels", large), ("small", _copies(small, folder))):
        rates = {
            (kind, how): _rate(paths, decoding, processes)
            for kind, decoding in (
                ("full", FULL),
                ("shrunk", Decoding("shrunk", ImageTokens.published(TILED, 1).shown_size)),
            )
            for how, processes in (("processes", None), ("threads", 0))
        }
        for (kind, how), rate in rates.items():
            record("engines", f"decode_{name}_{kind}_{how}", rate, "images/s")
        for kind in ("full", "shrunk"):
            ratio = rates[kind, "processes"] / rates[kind, "threads"]
            record("engines", f"decode_{name}_{kind}_processes_over_threads", ratio, "x")
        ratio = rates["shrunk", "processes"] / rates["full", "processes"]
        record("engines", f"decode_{name}_shrunk_over_full", ratio, "x")


def main() -> None:
    """Measure both engines, and what feeds them, in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=600)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        make_demo_images(demo, count=count, seed=1, workers=2, scenes=24)
        paths = sorted((demo / "images").iterdir())
        images = [open_rgb(path) for path in paths]
        transformers = measure("transformers", images)
        vllm = measure("vllm", images)
        difference = float(np.abs(transformers - vllm).max())
        record("engines", "largest_logprob_difference", difference, "nat")
        stream_against_one_batch(images)
        decoding(paths, Path(folder))


def _drain(engine: TokenEngine, requests: list[TokenRequest]) -> list[TokenAnswer]:
    return list(engine.stream(iter(requests)))


def _request(question: Question, *shown_images: tuple[Image.Image, str]) -> TokenRequest:
    images, names = zip(*shown_images, strict=True)
    (request,) = question.requests(images, names)
    return request


def _photographs(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(PHOTOGRAPHS):
        noise = rng.integers(0, 255, (375, 500, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(noise).resize(PHOTOGRAPH_PX, Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def _copies(paths: list[Path], folder: Path) -> list[Path]:
    """Files of other content and the same pixels: one that recurs is not decoded again."""
    copies = []
    for path in paths:
        for number in range(SMALL_COPIES):
            copies.append(folder / f"{number}-{path.name}")
            copies[-1].write_bytes(path.read_bytes() + b"\0" * number)
    return copies


def _rate(paths: Iterable[Path], decoding: Decoding, processes: int | None) -> float:
    """Images per second after the start, which is left out."""
    stored = [StoredImage(sha256_file(path), str(path)) for path in paths]
    stream = shown(
        (Needing(None, (one,)) for one in stored),
        decoding=decoding,
        processes=processes if processes is not None else 2,
    )
    next(stream)
    start = time.perf_counter()
    count = sum(len(one.images) for one in stream)
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

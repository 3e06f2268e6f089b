"""What does the way we ask the teacher cost, and what does it save?

    python -m benchmarks.teacher

Four questions, each part in a process of its own, all in one run:

- points: `annotate points` on the tiny teacher against a bare script that opens the same files
  with Pillow and gives all requests to one `LLM.generate`; engine start left out of both.
- pairs: planned against shuffled order of the same requests, on wide random InternVLs (vision
  towers in proportion to 8B and to 1B) whose KV cache holds the prefixes of a tenth of the images,
  as with 8B weights and 10^4 images.
- one at a time: the same questions put to transformers one by one.
- memory: resident memory after 2,000 and after 20,000 images of one run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.record import record

PAIRS_PER_IMAGE = 5
BLOCK_TOKENS = 32
WIDE_PREFIX_BLOCKS = 9  # 256 image tokens and what stands before them, in blocks of 32
ONE_BY_ONE = 48
FEW, MANY = 2_000, 20_000


def main() -> None:
    """Run all parts, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3_000, help="of the points part")
    parser.add_argument("--wide-images", type=int, default=60, help="of the pairs part")
    parser.add_argument("--rounds", type=int, default=3, help="turns of the points part")
    parser.add_argument("--only", choices=("points", "pairs", "memory"), help="one of the parts")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.only in (None, "points"):
            _points(Path(folder) / "points", options.images, options.rounds)
        if options.only in (None, "pairs"):
            _pairs(Path(folder) / "pairs", options.wide_images)
        if options.only in (None, "memory"):
            _memory(Path(folder) / "memory")


def _points(folder: Path, count: int, rounds: int) -> None:
    _make_images(folder / "images", count, side_px=112)
    _fill(folder)
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(_run("ours", folder)["rate"])
        bare.append(_run("bare", folder)["rate"])
    one_by_one = _run("one_by_one_points", folder)["rate"]
    generated = _run("generate_points", folder)["rate"]
    record("teacher", "points_annotate", statistics.median(ours), "images/s")
    record("teacher", "points_bare_script", statistics.median(bare), "images/s")
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    record("teacher", "points_annotate_to_bare", statistics.median(ratios), "ratio")
    record("teacher", "points_annotate_to_bare_least", min(ratios), "ratio")
    against = statistics.median(ours) / one_by_one
    record("teacher", "points_annotate_to_transformers_one_by_one", against, "ratio")
    against = statistics.median(ours) / generated
    record("teacher", "points_annotate_to_transformers_generate", against, "ratio")


def _pairs(folder: Path, count: int) -> None:
    from tools.make_wide_teacher import VISION, make_wide_teacher

    _make_images(folder / "images", count, side_px=224)
    _fill(folder)
    for size in VISION:
        weights = make_wide_teacher(folder / "wide", size=size)
        record("teacher", f"wide_language_model_{size}", weights, "weights")
        planned, shuffled = _run("planned", folder), _run("shuffled", folder)
        alone = _run("one_by_one_pairs", folder)
        record("teacher", f"pairs_planned_{size}", planned["rate"], "pairs/s")
        record("teacher", f"pairs_shuffled_{size}", shuffled["rate"], "pairs/s")
        against = planned["rate"] / shuffled["rate"]
        record("teacher", f"pairs_planned_to_shuffled_{size}", against, "ratio")
        share = "share of prompt tokens"
        record("teacher", f"pairs_planned_cached_{size}", planned["cached"], share)
        record("teacher", f"pairs_shuffled_cached_{size}", shuffled["cached"], share)
        against = planned["rate"] / alone["rate"]
        record("teacher", f"pairs_planned_to_transformers_one_by_one_{size}", against, "ratio")


def _memory(folder: Path) -> None:
    _make_images(folder / "images", MANY + FEW, side_px=64)
    _fill(folder)
    found = _run("memory", folder)
    record("teacher", "resident_after_2000", found["few"] / 2**20, "MiB")
    record("teacher", "resident_after_20000", found["many"] / 2**20, "MiB")
    record("teacher", "resident_20000_to_2000", found["many"] / found["few"], "ratio")


def _run(part: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.teacher", "--part", part, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _make_images(folder: Path, count: int, *, side_px: int) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (side_px // 8, side_px // 8, 3), dtype=np.uint8)
        large = Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)
        large.save(folder / f"{number:05d}.jpg", quality=90)


def _fill(folder: Path) -> None:
    from data_store.images.importer import add_images
    from data_store.layout import create_store

    add_images(create_store(folder / "store"), folder / "images")


def _teacher(model: str, **options: Any) -> Any:
    from annotate.teachers.teacher import find_teacher

    teacher = find_teacher(model, engine="vllm", dtype="float32", max_tiles=1)
    return replace(teacher, options=replace(teacher.options, **options))


def _ours(folder: Path) -> dict[str, float]:
    """Images per second of `annotate points`, into a store of its own."""
    from annotate.prompts import shipped_prompt
    from annotate.run import annotate_points
    from data_store.layout import open_store

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store = _copied_store(folder, Path(scratch))
        done = annotate_points(open_store(store), _teacher("tiny"), [shipped_prompt("point")])
    return {"rate": done.rows_per_s}


def _bare(folder: Path) -> dict[str, float]:
    """Images per second of the shortest script that gets the same log-probabilities."""
    import os

    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    import vllm

    from annotate.prompts import shipped_prompt

    teacher = _teacher("tiny")
    question = teacher.read(shipped_prompt("point"))
    llm = vllm.LLM(
        model=str(teacher.checkpoint),
        dtype="float32",
        max_model_len=512,
        limit_mm_per_prompt={"image": 1},
        block_size=BLOCK_TOKENS,
        enforce_eager=True,
        kv_cache_memory_bytes=1 << 30,
        disable_log_stats=True,
    )
    reading = question.readings[0]
    parameters = vllm.SamplingParams(
        max_tokens=1, temperature=0.0, logprob_token_ids=list(reading.token_ids), detokenize=False
    )

    def generate(images: list[Image.Image]) -> None:
        prompts = [{"prompt": reading.text, "multi_modal_data": {"image": one}} for one in images]
        llm.generate(prompts, parameters, use_tqdm=False)

    generate([Image.new("RGB", (112, 112), (shade, 0, 0)) for shade in range(4)])  # warm, as ours
    paths = sorted((folder / "images").iterdir())
    start = time.perf_counter()
    generate([Image.open(path).convert("RGB") for path in paths])
    return {"rate": len(paths) / (time.perf_counter() - start)}


def _one_by_one_points(folder: Path) -> dict[str, float]:
    """Images per second of transformers, a single question in each forward pass."""
    from annotate.prompts import shipped_prompt
    from annotate.teachers.engine import TokenRequest

    teacher = replace(_teacher("tiny", max_batch=1, in_flight=1), engine_name="transformers")
    reading = teacher.read(shipped_prompt("point")).readings[0]
    paths = sorted((folder / "images").iterdir())[: 8 * ONE_BY_ONE]

    def requests() -> Any:
        for path in paths:
            image = Image.open(path).convert("RGB")
            yield TokenRequest((image,), (path.name,), reading.text, reading.token_ids)

    return {"rate": len(paths) / _seconds(teacher.start(), requests)}


def _generate_points(folder: Path) -> dict[str, float]:
    """Images per second of the plainest script: `model.generate` for one token, image by image."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from annotate.prompts import shipped_prompt

    teacher = _teacher("tiny")
    reading = teacher.read(shipped_prompt("point")).readings[0]
    processor = AutoProcessor.from_pretrained(teacher.checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(teacher.checkpoint, dtype=torch.float32)
    paths = sorted((folder / "images").iterdir())[: 4 * ONE_BY_ONE]

    def answer(path: Path) -> torch.Tensor:
        shown = [Image.open(path).convert("RGB")]
        asked = processor(text=[reading.text], images=shown, return_tensors="pt")
        done = model.generate(
            **asked,
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        return torch.log_softmax(done.logits[0][0], -1)[list(reading.token_ids)]

    answer(paths[0])
    start = time.perf_counter()
    for path in paths:
        answer(path)
    return {"rate": len(paths) / (time.perf_counter() - start)}


def _order(folder: Path, arrange: Callable[[Any], Any]) -> dict[str, float]:
    """Pairs per second and share of cached prompt tokens, read from the store."""
    from annotate import pairs
    from annotate.pair_order import request_order
    from annotate.pair_strategies import PairChoice
    from annotate.prompts import shipped_prompt
    from annotate.run import annotate_pairs
    from data_store.index import query
    from data_store.layout import open_store

    count = len(list((folder / "images").iterdir()))
    blocks = max(count // 10 * WIDE_PREFIX_BLOCKS, 2 * WIDE_PREFIX_BLOCKS + 4) + 1
    teacher = _teacher(str(folder / "wide"), kv_cache_blocks=blocks)
    vars(pairs)["request_order"] = lambda rows: arrange(request_order(rows))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store = open_store(_copied_store(folder, Path(scratch)))
        wanted = PairChoice(count * PAIRS_PER_IMAGE // 2)
        done = annotate_pairs(store, teacher, shipped_prompt("pair"), wanted)
        cached = query(store, "select sum(cached_tokens) / sum(prompt_tokens) as share from pairs")
    return {"rate": done.rows_per_s, "cached": cached.to_pylist()[0]["share"]}


def _planned(folder: Path) -> dict[str, float]:
    return _order(folder, lambda order: order)


def _shuffled(folder: Path) -> dict[str, float]:
    def shuffle(order: Any) -> Any:
        mixed = np.random.default_rng(0).permutation(len(order.rows))
        return order._replace(rows=order.rows[mixed], backward=order.backward[mixed])

    return _order(folder, shuffle)


def _one_by_one_pairs(folder: Path) -> dict[str, float]:
    """Pairs per second of transformers, a single question in each forward pass."""
    from annotate.prompts import shipped_prompt
    from annotate.teachers.engine import TokenRequest

    options = {"max_batch": 1, "in_flight": 1}
    teacher = replace(_teacher(str(folder / "wide"), **options), engine_name="transformers")
    reading = teacher.read(shipped_prompt("pair")).readings[0]
    paths = sorted((folder / "images").iterdir())

    def requests() -> Any:
        shown = pairwise(paths)
        for first, second in islice(shown, ONE_BY_ONE):
            images = tuple(Image.open(path).convert("RGB") for path in (first, second))
            names = (first.name, second.name)
            yield TokenRequest(images, names, reading.text, reading.token_ids)

    return {"rate": ONE_BY_ONE / 2 / _seconds(teacher.start(), requests)}


def _seconds(engine: Any, requests: Callable[[], Any]) -> float:
    list(engine.stream(islice(requests(), 2)))
    start = time.perf_counter()
    list(engine.stream(requests()))
    return time.perf_counter() - start


def _resident(folder: Path) -> dict[str, float]:
    """Resident bytes of this process and its children as the run passes two marks."""
    from annotate.job import Job
    from annotate.points import plan_points
    from annotate.prompts import shipped_prompt
    from annotate.worker import Worker
    from data_store.layout import open_store

    teacher = _teacher("tiny")
    store = open_store(folder / "store")
    prompt = shipped_prompt("point")
    work, _ = plan_points(store, teacher.teacher_id, [teacher.read(prompt).prompt_id])
    found: dict[int, float] = {}
    passed = 0

    def advance(count: int, _rejected: int) -> None:
        nonlocal passed
        passed += count
        if passed in (FEW, MANY):
            found[passed] = _resident_bytes()

    worker = Worker(store, teacher, Job(store.address, "points", (prompt,)))
    worker.run(work, advance=advance)
    worker.close()
    return {"few": found[FEW], "many": found[MANY]}


def _resident_bytes() -> float:
    import psutil

    this = psutil.Process()
    return float(sum(one.memory_info().rss for one in (this, *this.children(recursive=True))))


def _copied_store(folder: Path, scratch: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder / "store", scratch / "store"))


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "ours": _ours,
    "bare": _bare,
    "one_by_one_points": _one_by_one_points,
    "generate_points": _generate_points,
    "planned": _planned,
    "shuffled": _shuffled,
    "one_by_one_pairs": _one_by_one_pairs,
    "memory": _resident,
}


if __name__ == "__main__":
    main()

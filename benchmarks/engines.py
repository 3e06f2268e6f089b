"""How fast do the two engines answer on this machine, and how far are they apart?

    python -m benchmarks.engines --images 600

The tiny teacher judges demo images through each engine, in this process, after a warm-up on other
images; engine start is left out. The answers are the same to rounding, which is measured too.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from annotate.prompts import shipped_prompt
from annotate.teachers.engine import EngineName, LabelAnswer, LabelRequest
from annotate.teachers.teacher import find_teacher
from benchmarks.record import record
from data_store.images.pictures import open_rgb
from tools.make_demo_images import make_demo_images

BATCH = 64
WARM_UP = 64


def measure(engine_name: EngineName, images: list[Image.Image]) -> np.ndarray:
    """Record points and pairs per second; returns the (N, 5) log-probabilities."""
    teacher = find_teacher("tiny", engine=engine_name)
    engine = teacher.start()
    point = teacher.read(shipped_prompt("point"))
    pair = teacher.read(shipped_prompt("pair"))
    points = [LabelRequest((image,), point.text, point.label_token_ids) for image in images]
    pairs = [
        LabelRequest(order, pair.text, pair.label_token_ids)
        for first, second in zip(images[::2], images[1::2], strict=False)
        for order in ((first, second), (second, first))
    ]
    answers: list[LabelAnswer] = []
    for name, requests, per_row in (("points", points, 1), ("pairs", pairs, 2)):
        engine.label_logprobs(requests[:WARM_UP])
        rest = requests[WARM_UP:]
        start = time.perf_counter()
        found: list[LabelAnswer] = []
        for first in range(0, len(rest), BATCH):
            found += engine.label_logprobs(rest[first : first + BATCH])
        rate = len(rest) / per_row / (time.perf_counter() - start)
        record("engines", f"{engine_name}_{name}", rate, f"{name}/s")
        answers = answers or found
    return np.array([answer.label_logprobs for answer in answers])


def main() -> None:
    """Measure both engines in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=600)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        make_demo_images(demo, count=count, seed=1, workers=2, scenes=24)
        images = [open_rgb(path) for path in sorted((demo / "images").iterdir())]
    transformers = measure("transformers", images)
    vllm = measure("vllm", images)
    difference = float(np.abs(transformers - vllm).max())
    record("engines", "largest_logprob_difference", difference, "nat")


if __name__ == "__main__":
    main()

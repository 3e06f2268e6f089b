"""Does the trainer cost more than the network it trains?

    python -m benchmarks.trainer

Three questions, all in one run, on JPEGs that it makes itself (512 x 384 px, short side 256 and
crops of 224 px as in the paper's setting) and SIMULATED answers of a teacher:

- step: images per second of `train run` while it distils, by its own events.jsonl, against a bare
  PyTorch/timm loop on batches of views already cut and held in memory: the same network, batches
  of as many images, AdamW, and nothing but a smooth L1 loss.
- predict: images per second of `train predict` on the files, from loading the student to the
  written scores, against a bare loop on views held in memory, loading the network included. Both
  take as many views per pass: how many that is matters more to either than all else here.
- decodes: pictures decoded in the second epoch, and when a second run opens the same pictures.

Ours and bare take turns; a ratio is the median of the turns' ratios.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.record import record
from data_store.layout import Store

TRAINED = ("convnext_atto", "mobilenetv2_100")
USED = ("convnext_tiny", "mobilenetv2_100")
FEW = 8  # images that the students of the second part have learnt from
SIZE_PX = (512, 384)
CROP_PX, SHORT_SIDE_PX = 224, 256
BATCH = 32
LEARNT = "label_free"


def main() -> None:
    """Run all parts, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", nargs="*", default=TRAINED, help="timm's names, of step")
    parser.add_argument("--used", nargs="*", default=USED, help="timm's names, of predict")
    parser.add_argument("--images", type=int, default=96, help="images of a step turn")
    parser.add_argument("--predicted", type=int, default=128, help="images of a predict turn")
    parser.add_argument("--turns", type=int, default=3, help="of ours and of bare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LEAF_CACHE"] = str(folder / "cache")
        store, few = (_make_store(folder / str(n), n) for n in (options.images, FEW))
        _make_pictures(folder / "predicted", options.predicted)
        _decodes(store)
        for model in options.trained:
            _step(store, folder / "step" / model, model, options)
        for model in options.used:
            _train_epoch(few, folder / "run" / model, model)
            _predict(folder, model, options)


def _step(store: Store, folder: Path, model: str, options: argparse.Namespace) -> None:
    batches = torch.split(_views(options.images), BATCH)
    _bare_epoch(model, batches[:1])  # what is set up once in a process belongs to neither
    turns = []
    for turn in range(options.turns):
        ours = _train_epoch(store, folder / str(turn), model)
        turns.append((ours, options.images / _bare_epoch(model, batches)))
    _record("step", model, turns)


def _train_epoch(store: Store, run: Path, model: str) -> float:
    """Images per second of one epoch of `train run`, without what comes before and after."""
    from train.run import train_run

    train_run(store, run, _settings(model))
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    epochs = [e for e in events if e["event"] == "epoch" and e["stage"] == LEARNT]
    seen = json.loads((run / "stages" / LEARNT / "stage.json").read_text())["facts"]["image_count"]
    return float(seen / epochs[0]["duration_s"])


def _bare_epoch(model: str, batches: Any) -> float:
    """Seconds of the shortest loop that trains the network for as many steps."""
    import timm

    network = timm.create_model(model, num_classes=1).to(memory_format=torch.channels_last)
    network.train()
    mean, deviation = _normalisation(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.05)
    wanted = torch.rand(BATCH)
    start = time.perf_counter()
    for batch in batches:
        inputs = ((batch - mean) / deviation).contiguous(memory_format=torch.channels_last)
        scores = network(inputs).squeeze(-1)
        loss = torch.nn.functional.smooth_l1_loss(scores, wanted[: len(scores)], beta=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss.item()
    return time.perf_counter() - start


def _predict(folder: Path, model: str, options: argparse.Namespace) -> None:
    from train.serving.scorer import CPU_BATCH

    views = _views(options.predicted)
    weights = folder / "run" / model / "stages" / LEARNT / "model.safetensors"
    _bare_scores(model, weights, views[:CPU_BATCH])
    turns = []
    for _ in range(options.turns):
        ours = _seconds(lambda: _predict_command(folder, model))
        bare = _seconds(lambda: _bare_scores(model, weights, views))
        turns.append((options.predicted / ours, options.predicted / bare))
    _record("predict", model, turns)


def _predict_command(folder: Path, model: str) -> None:
    """`train predict` as it is typed, in this process: starting Python is left out."""
    from train.cli import app

    words = ["predict", "--run", folder / "run" / model, "--images", folder / "predicted"]
    words += ["--out", folder / "scores.parquet", "--force"]
    _call(app, words)


def _bare_scores(model: str, weights: Path, views: torch.Tensor) -> list[float]:
    import timm
    from safetensors.torch import load_file

    from train.serving.scorer import CPU_BATCH

    network = timm.create_model(model, num_classes=1).to(memory_format=torch.channels_last)
    network.load_state_dict(load_file(weights))
    network.eval()
    mean, deviation = _normalisation(network)
    scores: list[float] = []
    with torch.inference_mode():
        for batch in torch.split(views, CPU_BATCH):
            inputs = ((batch - mean) / deviation).contiguous(memory_format=torch.channels_last)
            scores += network(inputs).squeeze(-1).tolist()
    return scores


def _decodes(store: Store) -> None:
    from train.dataset import Pictures
    from train.pixel_cache import pixel_cache_folder
    from train.training_data import choose_teacher, read_training_data

    data = read_training_data(store, choose_teacher(store, ""))
    ids, paths = data.image_ids.to_pylist(), data.paths.to_pylist()
    batches = np.array_split(np.arange(len(ids)), 4)

    def opened() -> Pictures:
        return Pictures(ids, paths, _settings(TRAINED[0]).images, pixel_cache_folder())

    pictures = opened()
    rate = len(ids) / _seconds(lambda: pictures.check(lambda: None))
    _keep("first_opening_decodes", pictures.decode_count, "pictures")
    _keep("first_opening", rate, "images/s")
    for epoch in range(2):
        before = pictures.decode_count
        list(pictures.training_batches(batches, seed=0, epoch=epoch))
    _keep("second_epoch_decodes", pictures.decode_count - before, "pictures")
    again = opened()
    rate = len(ids) / _seconds(lambda: again.check(lambda: None))
    _keep("second_run_decodes", again.decode_count, "pictures")
    _keep("second_opening", rate, "images/s")
    start = time.perf_counter()
    for epoch in range(2, 12):
        list(again.training_batches(batches, seed=0, epoch=epoch))
    _keep("random_views", 10 * len(ids) / (time.perf_counter() - start), "images/s")


def _settings(model: str) -> Any:
    from train.settings import RunSettings

    return RunSettings.model_validate(
        {
            "device": "cpu",
            "label_fractions": (),
            "student": {"backbone": model, "init": "random"},
            "images": {"crop_px": CROP_PX, "short_side_px": SHORT_SIDE_PX},
            "split": {"test_fraction": 1e-9},  # nothing is held out: nothing is judged
            "distil": {"epochs": 1, "batch_size": BATCH},
        }
    )


def _make_store(folder: Path, count: int) -> Store:
    """Pictures, and what an invented teacher says of them."""
    from annotate.cli import app
    from data_store.images.importer import add_images
    from data_store.layout import create_store

    _make_pictures(folder / "learnt", count)
    store = create_store(folder / "store")
    add_images(store, folder / "learnt")
    names = [path.name for path in sorted((folder / "learnt").iterdir())]
    scores = np.random.default_rng(1).random(count)
    points = [
        "image,score",
        *(f"{name},{score}" for name, score in zip(names, scores, strict=True)),
    ]
    pairs = ["image_a,image_b,preference"]
    # Each image in one pair, so that every batch is full, as those of the bare loop are.
    for a in range(0, count, 2):
        prob = 1.0 / (1.0 + np.exp(8.0 * (scores[a + 1] - scores[a])))
        pairs.append(f"{names[a]},{names[a + 1]},{prob}")
    for kind, lines in (("points", points), ("pairs", pairs)):
        path = folder / f"{kind}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        columns = [word for name in lines[0].split(",") for word in ("--map", f"{name}={name}")]
        scale = ["--scale", "0", "1"] if kind == "points" else []
        teacher = ["--teacher", "simulated", "--store", store.root]
        _call(app, ["import", path, *columns, *scale, *teacher])
    return store


def _make_pictures(folder: Path, count: int) -> None:
    """JPEGs with as much detail as photographs have: about 1.3 bits per pixel."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(folder.name))
    for number in range(count):
        coarse = generator.integers(0, 256, (SIZE_PX[1] // 8, SIZE_PX[0] // 8, 3), dtype=np.uint8)
        large = Image.fromarray(coarse).resize(SIZE_PX, Image.Resampling.BICUBIC)
        large.save(folder / f"{number:05d}.jpg", quality=85)


def _views(count: int) -> torch.Tensor:
    """(count, 3, crop, crop) uint8, channels last in memory, as the trainer's own batches."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, CROP_PX, CROP_PX, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _normalisation(network: Any) -> tuple[torch.Tensor, torch.Tensor]:
    config = network.pretrained_cfg
    mean, deviation = (255 * torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return mean, deviation


def _call(app: Any, words: list[Any]) -> None:
    """A command of ours, in this process."""
    with contextlib.redirect_stdout(sys.stderr):
        app([str(word) for word in words], standalone_mode=False)


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _record(part: str, model: str, turns: list[tuple[float, float]]) -> None:
    """Rates of both, and the ratio, from the turns' (ours, bare) images per second."""
    ours, bare = zip(*turns, strict=True)
    ratios = [a / b for a, b in turns]
    _keep(f"{part}_ours_{model}", statistics.median(ours), "images/s")
    _keep(f"{part}_bare_{model}", statistics.median(bare), "images/s")
    _keep(f"{part}_ratio_{model}", statistics.median(ratios), "ratio")
    _keep(f"{part}_ratio_least_{model}", min(ratios), "ratio")


def _keep(name: str, value: float, unit: str) -> None:
    record("trainer", name, value, unit)


if __name__ == "__main__":
    main()

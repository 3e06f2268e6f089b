"""A run killed anywhere, and run again, ends as one that was never killed: bit for bit."""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.train.run_nursery import Nursery

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "quick_test.toml"
KILLS = 50

QUICK = ("label_fractions=[0.5]", "distil.epochs=4", "calibrate.epochs=3", "cft_only.epochs=3")
BATCH_NORM_AND_CHANCE = (
    'student.backbone="test_efficientnet"',
    'student.init="random"',
    "student.backbone_args={drop_rate=0.2, drop_path_rate=0.2}",
    "distil.accumulate=2",
    "distil.ema_decay=0.9",
    "calibrate.ema_decay=0.5",
    "calibrate.pull_weight=0.1",
)
HEAD_ALONE = (
    'student.pooling="mean_std"',
    "student.hidden=8",
    'student.trained="head"',
    "distil.ema_decay=0.9",
)


@pytest.fixture(scope="module")
def nursery(simulated_store):
    found = Nursery(simulated_store.root, CONFIG)
    yield found
    found.close()


def results(run):
    """Everything that a run leaves, but for times."""
    files = [*run.glob("stages/*/*"), run / "summary.json", run / "run.json"]
    found = {str(path.relative_to(run)): path.read_bytes() for path in files}
    record = json.loads(found.pop("run.json"))
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    for event in events:
        del event["time"]
        event.pop("duration_s", None)
    return found, record["run_id"], events


@pytest.mark.parametrize(
    ("seed", "settings", "share", "hits"),
    # A head alone is trained within milliseconds, which few kills hit.
    [(0, (), 0.4, 0.2), (1, BATCH_NORM_AND_CHANCE, 0.4, 0.2), (2, HEAD_ALONE, 0.2, 0.0)],
    ids=["plain", "batch norm, chance, averages", "head alone"],
)
def test_killed_at_random_instants_a_run_ends_as_if_it_had_not_been(
    tmp_path, nursery, seed, settings, share, hits
):
    settings = (*QUICK, *settings, f"seed={seed}")
    assert nursery.run(tmp_path / "unbroken", settings) == [0]
    wanted = results(tmp_path / "unbroken")
    start = time.monotonic()  # of a second one: the first fills caches
    assert nursery.run(tmp_path / "again", settings) == [0]
    whole_s = time.monotonic() - start
    assert results(tmp_path / "again") == wanted
    rng = random.Random(seed)
    kills = torn = runs = 0
    while kills < share * KILLS:
        runs += 1
        folder, code = tmp_path / f"killed-{runs}", -signal.SIGKILL
        while code:
            # How often a checkpoint is written must not matter either.
            every = rng.choice(["checkpoint_s=0", "checkpoint_s=0.05", "checkpoint_s=60"])
            life_s = whole_s * rng.uniform(0.1, 0.8)
            enough = kills >= share * KILLS
            (code,) = nursery.run(
                folder, (*settings, every), kill_after_s=[None if enough else life_s]
            )
            assert code in (0, -signal.SIGKILL), Path(f"{folder}.log").read_text()
            kills += code != 0
            torn += any((folder / "checkpoints").glob("*/*")) and code != 0
        assert results(folder) == wanted
        left = Counter(path.name for path in folder.iterdir())
        assert left == Counter(path.name for path in (tmp_path / "unbroken").iterdir())
    # Kills that never hit a training in its midst would prove nothing.
    assert torn >= hits * kills

"""What a run is, written down before it starts, and compared when it is continued."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from data_store.files import TEMPORARY_PREFIX, write_atomically
from data_store.layout import Store
from data_store.run_record import require_same_record
from schemas.errors import RunMismatch
from schemas.ids import id_of
from train.settings import RunSettings
from train.training_data import TrainingData

RUN_FILE = "run.json"
PACKAGES = ("leaf-iqa", "torch", "timm", "numpy", "scipy", "pyarrow", "pillow", "safetensors")
NO_EFFECT_ON_RESULTS: dict[str, Any] = {
    "checkpoint_s": True,
    "tensorboard": True,
    "images": {"cache_bytes", "threads"},
}


def record_run(
    folder: Path,
    settings: RunSettings,
    store: Store,
    data: TrainingData,
    *,
    parent: dict[str, Any] | None = None,
    option: str = "--run",
) -> str:
    """Write run.json, or make sure that the one there is of the same run.

    Args:
        folder: of the run.
        settings: everything that decides the results.
        store: where the data are from.
        data: what is learnt from.
        parent: what the run goes on from, where it does; that decides the results too.
        option: what names the folder, for messages.

    Returns:
        The run id: SHA-256 of everything that decides the results.

    Raises:
        RunMismatch: the folder belongs to other settings or other evidence, or is no run.
    """
    path = folder / RUN_FILE
    deciding = {
        "settings": settings.model_dump(mode="json", exclude=NO_EFFECT_ON_RESULTS),
        "teacher_ids": list(data.teacher_ids),
        "evidence": data.content_hashes(),
        **({} if parent is None else {"parent": parent}),
    }
    if path.exists():
        require_same_record(
            path, deciding, work="run", option=option, kept="the settings and store of this one"
        )
        return id_of(deciding)
    if folder.exists() and not all(_is_left_over(path) for path in folder.iterdir()):
        raise RunMismatch(
            "the folder is not empty and holds no run",
            where=folder,
            fix=f"give a new folder with {option}",
        )
    record = {
        "run_id": id_of(deciding),
        **deciding,
        "store": store.address,
        "counts": _counts(data),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "git": _git_state(),
        "machine": _machine(),
    }
    write_atomically(path, json.dumps(record, indent=2).encode())
    return id_of(deciding)


def _is_left_over(path: Path) -> bool:
    """Whether it is what a run left that was killed while it wrote its first file."""
    return path.name.startswith(TEMPORARY_PREFIX)


def _counts(data: TrainingData) -> dict[str, int]:
    return {
        "images": len(data.image_ids),
        "teacher_points": int((data.teacher_score == data.teacher_score).sum()),
        "teacher_pairs": len(data.pairs),
        "mos": int((data.mos == data.mos).sum()),
    }


def _git_state() -> dict[str, Any] | None:
    """Commit of the source tree and whether it was clean; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / "pyproject.toml").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "clean": not _git(root, "status", "--porcelain")}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }

"""What a tuning is, written down before it starts, and compared when it is continued."""

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from annotate.tuning.checkpoint import FOLDER
from annotate.tuning.labels import TuningData
from annotate.tuning.settings import TuneSettings
from data_store.files import TEMPORARY_PREFIX, write_atomically
from data_store.layout import Store
from data_store.run_record import require_same_record
from schemas.errors import RunMismatch

RUN_FILE = "run.json"
PACKAGES = ("leaf-iqa", "torch", "transformers", "peft", "accelerate", "numpy", "safetensors")


def record_tuning(
    folder: Path,
    settings: TuneSettings,
    store: Store,
    data: TuningData,
    *,
    teacher_id: str,
    prompt_id: str,
) -> None:
    """Write run.json, or make sure that the one there is of the same tuning.

    Raises:
        RunMismatch: the folder belongs to other settings, opinions or another teacher, or holds
            something else.
    """
    path = folder / RUN_FILE
    deciding = {
        "settings": settings.deciding(),
        "teacher_id": teacher_id,
        "prompt_id": prompt_id,
        "evidence": data.content_hashes(),
    }
    if path.exists():
        require_same_record(
            path,
            deciding,
            work="tuning",
            option="--out",
            kept="the settings, the store and the teacher of this one",
        )
        return
    if folder.exists() and not all(_is_left_over(one) for one in folder.iterdir()):
        raise RunMismatch(
            "the folder is not empty and holds no tuning",
            where=folder,
            fix="give a new folder with --out",
        )
    record = {
        **deciding,
        "store": store.address,
        "counts": {"labelled": len(data.labelled), "held_out": len(data.held_out)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "machine": {
            "platform": platform.platform(),
            "torch_threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
    write_atomically(path, json.dumps(record, indent=2).encode() + b"\n")


def _is_left_over(path: Path) -> bool:
    """Whether it is what a tuning left that was killed before its record was there."""
    return path.name.startswith(TEMPORARY_PREFIX) or path.name == FOLDER

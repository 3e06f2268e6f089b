"""What a tuning is, written down before it starts, and compared when it is continued."""

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from annotate.tuning.checkpoint import FOLDER
from annotate.tuning.labels import TuningData
from annotate.tuning.settings import TuneSettings
from data_store.files import TEMPORARY_PREFIX, write_atomically
from data_store.layout import Store
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
        _compare(path, deciding)
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


def _compare(path: Path, deciding: dict[str, Any]) -> None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        before = _flat({key: record[key] for key in deciding})
    except (ValueError, KeyError, TypeError) as error:
        raise RunMismatch(
            f"run.json cannot be read: {error!r}", where=path, fix="give a new folder with --out"
        ) from error
    now = _flat(json.loads(json.dumps(deciding)))
    changed = [
        _change(key, before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunMismatch(
            f"the folder holds another tuning; changed: {'; '.join(changed)}",
            where=path,
            fix="give a new folder with --out, or go back to the settings, the store and the"
            " teacher of this one",
        )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: item
        for name, child in value.items()
        for key, item in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }


def _change(key: str, before: Any, now: Any) -> str:
    if key.startswith("evidence."):
        return f"the store's {key.removeprefix('evidence.')}"
    return f"{key.removeprefix('settings.')} was {before!r}, is {now!r}"

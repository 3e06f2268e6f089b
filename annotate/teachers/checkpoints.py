"""Where to find the weights of a preset, a folder or a hub id."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from annotate.teachers.image_tokens import SUPPORTED
from annotate.teachers.presets import PRESETS
from data_store.suggestions import did_you_mean
from schemas.errors import TeacherMissing

_CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights on this machine, and what they are called."""

    path: Path
    name: str
    revision: str
    """Commit of the hub repository, or empty."""


def find_checkpoint(model: str, *, revision: str = "") -> Checkpoint:
    """Find the weights of a preset, a folder or a hub id; download what is not here.

    Args:
        model: preset name, folder or hub id.
        revision: commit, tag or branch of the hub repository; empty takes the preset's commit,
            or the main branch where there is none.

    Raises:
        TeacherMissing: they are not here and cannot be had, or this model cannot be asked.
    """
    preset = PRESETS.get(model)
    if preset is not None and preset.is_shipped:
        return _from_folder(Path(str(resources.files("annotate"))) / preset.model, model, revision)
    if preset is not None:
        return _from_hub(preset.model, revision or preset.revision)
    if Path(model).expanduser().is_dir() or _looks_like_path(model):
        folder = Path(model).expanduser().resolve()
        return _from_folder(folder, folder.name, revision)
    return _from_hub(model, revision)


def read_config(folder: Path) -> Mapping[str, Any]:
    """A checkpoint's config.json, if it is of an architecture that can be asked.

    Raises:
        TeacherMissing: it cannot be read, names no architecture, or one that is not supported.
    """
    path = folder / _CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        architecture = str(config["architectures"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise TeacherMissing(
            "config.json names no architecture",
            where=path,
            fix="give a whole checkpoint in the layout of transformers",
        ) from error
    if architecture not in SUPPORTED:
        own_code = "auto_map" in config
        raise TeacherMissing(
            f"the architecture {architecture} cannot be asked"
            + (": it brings code of its own, which is never run" if own_code else ""),
            where=path,
            fix=f"give a checkpoint of {' or '.join(SUPPORTED)}; of InternVL those whose names"
            " end in -HF",
        )
    return config


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "~", os.sep)) or model.count("/") != 1


def _from_folder(folder: Path, name: str, revision: str) -> Checkpoint:
    if revision:
        raise TeacherMissing(
            "a folder has no revisions",
            where=f"--model {folder} --revision {revision}",
            fix="leave out --revision, or give a hub id",
        )
    if missing := _missing_parts(folder):
        raise TeacherMissing(
            f"there is no model here: {', '.join(missing)} missing{did_you_mean(name, PRESETS)}",
            where=folder,
            fix=f"give a folder with a checkpoint, a hub id, or one of {', '.join(PRESETS)}",
        )
    read_config(folder)
    return Checkpoint(folder, name, revision="")


def _missing_parts(folder: Path) -> list[str]:
    missing = [] if (folder / _CONFIG).is_file() else [_CONFIG]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    elif (folder / _INDEX).is_file():
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        parts = sorted(set(index["weight_map"].values()))
        missing += [part for part in parts if not (folder / part).is_file()]
    return missing


def _from_hub(hub_id: str, revision: str) -> Checkpoint:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    def fetch(files: list[str], *, offline: bool, commit: str = revision) -> Path:
        return Path(
            snapshot_download(
                hub_id,
                revision=commit or None,
                allow_patterns=files,
                local_files_only=offline,
                etag_timeout=10,
            )
        )

    try:
        folder = _local_snapshot(fetch)
        if folder is None:
            # The small file first: weights of an architecture that cannot be asked are not wanted.
            config = fetch([_CONFIG], offline=False)
            read_config(config)
            folder = fetch(_FILES, offline=False, commit=config.name)
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        raise _not_here(hub_id, revision, type(error).__name__) from error
    if missing := _missing_parts(folder):
        raise _not_here(hub_id, revision, f"{', '.join(missing)} missing")
    read_config(folder)
    return Checkpoint(folder, hub_id, revision=folder.name)


def _not_here(hub_id: str, revision: str, why: str) -> TeacherMissing:
    at = f" --revision {revision}" if revision else ""
    return TeacherMissing(
        f"the weights of {hub_id} are not on this machine and cannot be downloaded ({why})",
        where=f"--model {hub_id}{at}",
        fix=f"download them where there is a network (`hf download {hub_id}{at} --local-dir"
        " FOLDER`), copy the folder here and give --model FOLDER",
    )


def _local_snapshot(fetch: Callable[..., Path]) -> Path | None:
    """The hub's cache of this machine, if all parts are in it."""
    try:
        folder = fetch(_FILES, offline=True)
    except OSError:
        return None
    return None if _missing_parts(folder) else folder

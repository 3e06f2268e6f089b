"""Teachers by name, and where to find the weights of a name, a folder or a hub id."""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from schemas.errors import TeacherMissing


@dataclass(frozen=True, slots=True)
class Preset:
    """A teacher people can name, with the settings it is meant to be run with."""

    model: str
    """Hub id, or the name of a folder that ships with this package."""
    dtype: str
    max_tiles: int


PRESETS = {
    # InternVL cuts a photograph into up to 12 tiles by default; 4 keep a pair near 2,600 tokens.
    "internvl3.5-8b": Preset("OpenGVLab/InternVL3_5-8B-HF", dtype="bfloat16", max_tiles=4),
    "tiny": Preset("tiny_teacher", dtype="float32", max_tiles=1),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights on this machine, and what they are called."""

    path: Path
    name: str
    revision: str


def find_checkpoint(model: str) -> Checkpoint:
    """Find the weights of a preset, a folder or a hub id; download what is not here.

    Raises:
        TeacherMissing: they are not here and cannot be had.
    """
    if model == "tiny":
        folder = Path(str(resources.files("annotate"))) / PRESETS["tiny"].model
        return _from_folder(folder, name="tiny")
    if model not in PRESETS and (Path(model).expanduser().is_dir() or _looks_like_path(model)):
        folder = Path(model).expanduser().resolve()
        return _from_folder(folder, name=folder.name)
    return _from_hub(PRESETS[model].model if model in PRESETS else model)


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "~", os.sep)) or model.count("/") != 1


def _from_folder(folder: Path, *, name: str) -> Checkpoint:
    missing = [part for part in ("config.json",) if not (folder / part).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise TeacherMissing(
            f"there is no model here: {', '.join(missing)} missing",
            where=folder,
            fix=f"give a folder with a checkpoint, a hub id, or one of {', '.join(PRESETS)}",
        )
    return Checkpoint(folder, name, revision="")


def _from_hub(hub_id: str) -> Checkpoint:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    patterns = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors"]
    try:
        try:
            folder = snapshot_download(hub_id, allow_patterns=patterns, local_files_only=True)
        except OSError:
            folder = snapshot_download(hub_id, allow_patterns=patterns, etag_timeout=10)
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        raise TeacherMissing(
            f"the weights of {hub_id} are not on this machine and cannot be downloaded"
            f" ({type(error).__name__})",
            where=f"--model {hub_id}",
            fix="download them where there is a network (`hf download "
            f"{hub_id} --local-dir FOLDER`), copy the folder here and give --model FOLDER",
        ) from error
    path = Path(folder)
    return Checkpoint(_from_folder(path, name=hub_id).path, hub_id, revision=path.name)

"""A readout's two files: written so that half a readout is never read as one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from annotate.readouts.readout import KINDS, LabelSource, Layer, Readout
from data_store.files import TEMPORARY_PREFIX, flush, write_atomically
from schemas.errors import InputError
from schemas.ids import sha256_bytes

RECORD = "readout.json"
NUMBERS = "readout.safetensors"
FORMAT = 1


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse a folder for a readout before any work is done.

    Args:
        folder: to be written.
        force: replace a readout that is there.

    Raises:
        InputError: it is a file, holds something else, or has a readout and `force` is not given.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("a file is in the way", where=folder, fix="give --out another name")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    names = {name for name in names if not name.startswith(TEMPORARY_PREFIX)}
    if not names:
        return
    if not names <= {RECORD, NUMBERS}:
        raise InputError(
            "the folder holds other things than a readout", where=folder, fix="give a new folder"
        )
    if not force:
        raise InputError(
            "there is a readout here already",
            where=folder,
            fix="give --out another name, or --force to replace it",
        )


def save_readout(readout: Readout, folder: Path) -> None:
    """Write both files; the record comes last, and holds the hash of the numbers.

    A readout that is there already is replaced; killed in between, the folder holds none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = save({name: np.ascontiguousarray(v) for name, v in readout.tensors().items()})
    record = {
        "format": FORMAT,
        "kind": readout.kind,
        "teacher_id": readout.teacher_id,
        "prompt_id": readout.prompt_id,
        "levels": list(readout.levels),
        "labels": asdict(readout.labels),
        "numbers_sha256": sha256_bytes(numbers),
    }
    (folder / RECORD).unlink(missing_ok=True)
    flush(folder)
    write_atomically(folder / NUMBERS, numbers)
    write_atomically(folder / RECORD, json.dumps(record, indent=2).encode() + b"\n")


def load_readout(folder: Path) -> Readout:
    """Read a readout.

    Raises:
        InputError: there is none, or a file of it is damaged or of a newer release.
    """
    record = _record(folder / RECORD)
    path = folder / NUMBERS
    try:
        data = path.read_bytes()
        if sha256_bytes(data) != record["numbers_sha256"]:
            raise _damaged("the numbers are not those that readout.json was written with", path)
        tensors = {name: value.astype(np.float64) for name, value in load(data).items()}
        layers = tuple(
            Layer(tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"])
            for number in range(sum(name.endswith(".weight") for name in tensors))
        )
        labels = TypeAdapter(LabelSource).validate_python(record["labels"])
        return Readout(
            record["kind"],
            str(record["teacher_id"]),
            str(record["prompt_id"]),
            labels,
            mean=tensors["mean"],
            deviation=tensors["deviation"],
            layers=layers,
            levels=tuple(record["levels"]),
        )
    except OSError as error:
        raise _damaged(f"the numbers cannot be read: {error.strerror}", path) from error
    except (SafetensorError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise _damaged(f"the readout cannot be read: {first}", folder) from error
    except (KeyError, TypeError) as error:
        raise _damaged(f"the readout lacks {error}", folder) from error


def _record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"there is no readout here: no {RECORD}",
            where=path.parent,
            fix="give the folder that `annotate readout fit --out` wrote, or FOLDER/readout of"
            " `annotate tune`",
        )
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(f"{RECORD} cannot be read: {error}", path) from error
    if not isinstance(record, dict):
        raise _damaged(f"{RECORD} holds no object", path)
    if record.get("format") != FORMAT or record.get("kind") not in KINDS:
        raise InputError(
            f"the readout has format {record.get('format')!r} and kind {record.get('kind')!r},"
            f" this program reads format {FORMAT} and kinds {', '.join(KINDS)}",
            where=path,
            fix="use the release of leaf-iqa that wrote it, or a newer one",
        )
    return record


def _damaged(what: str, where: Path) -> InputError:
    return InputError(
        what, where=where, fix="fit it again with `annotate readout fit`, or take it from a backup"
    )

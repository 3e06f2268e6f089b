"""Which command brings back the rows of a shard that was damaged."""

import shlex
from collections.abc import Mapping

from data_store.layout import Store
from schemas.tables import BY_TEACHER
from schemas.teacher_spec import TeacherSpec

_BY_TABLE = {
    "images": "store add-images FOLDER",
    "mos": "store add-mos FILE",
    "predictions": "train run --run FOLDER",
}


def refill_command(
    store: Store,
    table: str,
    *,
    teacher_id: str,
    producer: str,
    teachers: Mapping[str, TeacherSpec],
) -> str:
    """The command to run again; words in capitals are for the user to fill in.

    Args:
        store: which store.
        table: the shard's table.
        teacher_id: whose folder it lay in, or empty.
        producer: what its footer says made it, or empty if that cannot be read.
        teachers: teachers that are known.
    """
    at = f"--store {shlex.quote(store.address)}"
    if producer.startswith("annotate import"):
        return f"annotate import FILE --map … {at}"
    if producer.startswith("annotate readout"):
        return f"annotate readout apply --readout FOLDER {at}"
    if table in BY_TEACHER:
        # Sentinels and blanks are asked about whenever points are.
        command = {"pairs": "pairs", "embeddings": "embed"}.get(table, "points")
        count = " --n-pairs N" if table == "pairs" else ""
        return f"annotate {command} --model {_model(teachers.get(teacher_id))}{count} {at}"
    if table == "rejections" and not producer.startswith("store "):
        return f"annotate points --model {_model(teachers.get(teacher_id))} {at}"
    if producer.startswith("store add-mos"):
        table = "mos"
    return f"{_BY_TABLE.get(table, _BY_TABLE['images'])} {at}"


def teacher_of(name: str) -> str:
    """Whose folder a shard of this name lies in; empty if it lies in no teacher's."""
    between = name.split("/")[1]
    return between.removeprefix("teacher=") if between.startswith("teacher=") else ""


def _model(spec: TeacherSpec | None) -> str:
    """The options that lead to the same teacher, as far as they are known."""
    if spec is None:
        return "MODEL"
    quantization = "" if spec.quantization == "none" else f" --quantization {spec.quantization}"
    name = shlex.quote(spec.name)
    decoding = "" if spec.decoding == "full" else f" --decode {spec.decoding}"
    return f"{name} --dtype {spec.dtype} --max-tiles {spec.max_tiles}{quantization}{decoding}"

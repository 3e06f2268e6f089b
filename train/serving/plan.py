"""What `train predict` and `train export` would do; the student is looked for and not loaded."""

from collections.abc import Sequence
from pathlib import Path

from data_store.plans import Figure, Plan
from train.serving.export_names import PROVENANCE_FILE
from train.serving.exported import require_exported, require_one_source
from train.serving.onnx_model import require_onnx
from train.serving.picture_list import Picture
from train.serving.scorer import chosen_student
from train.serving.whole_folder import check_new_folder
from train.stages import STAGES, WEIGHTS_FILE

BYTES_BESIDE_PATH = 130
"""Of a row of CSV: an id of 64 digits, three numbers of up to 20, and their commas."""


def predict_plan(
    pictures: Sequence[Picture], *, run: Path | None, export: Path | None, student: str
) -> Plan:
    """What would be scored, and by whom.

    Args:
        pictures: what was found.
        run: folder of a training run, or None.
        export: folder that `train export` wrote, or None.
        student: which of the run's.

    Raises:
        InputError: not one of both is given, or there is no such student.
    """
    require_one_source(run, export, student=student)
    if export is not None:
        require_exported(export)
    size = sum(len(picture.shown.encode()) + BYTES_BESIDE_PATH for picture in pictures)
    return Plan(
        "train predict",
        "images",
        len(pictures),
        seconds=Figure(None, "nothing was scored on this machine that is known of"),
        disk_bytes=Figure(float(size), "as CSV, by the lengths of the paths; Parquet is smaller"),
        details={"student": chosen_student(run, student) if run is not None else str(export)},
        notes=("images that cannot be read are found only then; they become rows with an error",),
    )


def export_plan(run: Path, out: Path, *, student: str, onnx: bool, force: bool) -> Plan:
    """What `train export` would write. Raises InputError as it does before it loads a weight."""
    check_new_folder(out, marker=PROVENANCE_FILE, force=force)
    if onnx:
        require_onnx()
    name = chosen_student(run, student)
    weights = (run / STAGES / name / WEIGHTS_FILE).stat().st_size
    return Plan(
        "train export",
        "students",
        1,
        seconds=Figure(None, "nothing was exported on this machine that is known of"),
        disk_bytes=Figure(
            float(weights * (2 if onnx else 1)),
            "the weights, once for PyTorch and once in the ONNX model" if onnx else "the weights",
        ),
        details={"student": name, "onnx": onnx, "replaces": out.exists()},
    )

"""Write a student as a folder that is used without this package.

    FOLDER/model.safetensors    the network, under timm's own names
    FOLDER/score_head.safetensors    where the student has a head of its own
    FOLDER/config.json          for timm.create_model("local-dir:FOLDER", pretrained=True)
    FOLDER/preprocessing.json, calibration.json, provenance.json
    FOLDER/model.onnx           pixels in, calibrated scores out; compared with PyTorch first
    FOLDER/README.md            how to load it, with and without PyTorch

The folder is there whole or not at all; an ONNX model that differs from PyTorch stops it.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from data_store.console import say
from data_store.files import write_atomically
from schemas.errors import InputError
from train.calibration.mapping import Mapping, MappingLayer
from train.run_record import RUN_FILE
from train.serving import export_text
from train.serving.export_names import (
    CALIBRATION_FILE,
    CONFIG_FILE,
    HEAD_FILE,
    HEAD_PREFIX,
    PREPROCESSING_FILE,
    PROVENANCE_FILE,
    README_FILE,
)
from train.serving.export_readme import export_readme
from train.serving.onnx_model import (
    ONNX_FILE,
    TOLERANCE,
    check_parity,
    largest_difference,
    require_onnx,
    write_onnx,
)
from train.serving.parity_pictures import parity_pictures
from train.serving.scorer import open_stage
from train.serving.snippets import load_snippet, onnx_snippet
from train.serving.whole_folder import check_new_folder, whole_folder
from train.stages import WEIGHTS_FILE, Stage
from train.student import Student

SUMMARY_FILE = "summary.json"
RECORDED = {"run_id", "settings", "teacher_ids", "evidence", "store", "versions"}
"""What is read of run.json."""


class Exported(NamedTuple):
    """What was written."""

    student: str
    parity: dict[str, str | float] | None  # None where there is no ONNX model


class CalibratedScores(nn.Module):
    """(B, 3, H, W) pixels, 0 to 255, to (B,) float32 scores on the scale of people's opinions."""

    def __init__(self, student: Student, mapping: Mapping) -> None:
        super().__init__()
        self.student = student
        self.mapping = MappingLayer(mapping)

    def forward(self, pixels: Tensor) -> Tensor:
        """Score a batch."""
        scores: Tensor = self.mapping(self.student(pixels))
        return scores


def export_student(
    run: Path,
    out: Path,
    *,
    student: str = "",
    onnx: bool = True,
    force: bool = False,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write one student of a run.

    Args:
        run: folder of a training run.
        out: the folder to write.
        student: which student; empty takes the one calibrated on most labels.
        onnx: whether to write an ONNX model, too.
        force: replace `out` if it is there.
        tolerance: largest difference of the ONNX model's scores from PyTorch's.

    Raises:
        InputError: there is no such run or student, `out` is there already, or a package for
            ONNX is missing.
        TrainingError: the ONNX model cannot be written, or differs by more than `tolerance`.
    """
    check_new_folder(out, marker=PROVENANCE_FILE, force=force)
    if onnx:
        require_onnx()
    record = _record(run)
    stage = open_stage(run, student)
    stage.student.eval().cpu()
    with whole_folder(out) as folder:
        _write_weights(folder, stage.student)
        parity = _write_onnx(folder, stage, record, tolerance) if onnx else None
        _write_texts(folder, stage, record, _quality(run, stage.name), parity)
    return Exported(stage.name, parity)


def _write_weights(folder: Path, student: Student) -> None:
    weights = {name: value.detach().cpu().contiguous() for name, value in student.weights().items()}
    head = {name: value for name, value in weights.items() if name.startswith(HEAD_PREFIX)}
    network = {name: value for name, value in weights.items() if name not in head}
    write_atomically(folder / WEIGHTS_FILE, save(network, metadata={"format": "pt"}))
    if head:
        plain = {name.removeprefix(HEAD_PREFIX): value for name, value in head.items()}
        write_atomically(folder / HEAD_FILE, save(plain, metadata={"format": "pt"}))


def _write_onnx(
    folder: Path, stage: Stage, record: dict[str, Any], tolerance: float
) -> dict[str, str | float]:
    scores = CalibratedScores(stage.student, stage.mapping).eval()
    say("writing the ONNX model")
    write_onnx(scores, stage.images.crop_px, folder / ONNX_FILE)
    pictures = parity_pictures(str(record["store"]), stage.images)
    say(f"comparing it with PyTorch on {pictures.described()}")
    largest = largest_difference(scores, folder / ONNX_FILE, pictures.pixels)
    check_parity(largest, tolerance)
    return export_text.parity_report(pictures, largest, tolerance)


def _write_texts(
    folder: Path,
    stage: Stage,
    record: dict[str, Any],
    quality: dict[str, Any] | None,
    parity: dict[str, str | float] | None,
) -> None:
    init = record["settings"]["student"]["init"]
    licence = stage.student.network.pretrained_cfg.get("license") if init == "pretrained" else None
    config = export_text.timm_config(stage, licence=licence)
    calibration = export_text.calibration(stage, record)
    provenance = export_text.provenance(stage, record, quality, parity)
    readme = export_readme(
        config,
        calibration,
        provenance,
        load=load_snippet(stage.student, stage.mapping.kind, map_ndim=_map_ndim(stage)),
        onnx=onnx_snippet(),
    )
    for name, value in (
        (CONFIG_FILE, config),
        (PREPROCESSING_FILE, export_text.preprocessing(stage)),
        (CALIBRATION_FILE, calibration),
        (PROVENANCE_FILE, provenance),
    ):
        write_atomically(folder / name, (json.dumps(value, indent=2) + "\n").encode())
    write_atomically(folder / README_FILE, readme.encode())


def _map_ndim(stage: Stage) -> int:
    """Dimensions of the network's feature map, as no attribute of timm's tells them."""
    crop_px = stage.images.crop_px
    with torch.inference_mode():
        return int(stage.student.network.forward_features(torch.zeros(1, 3, crop_px, crop_px)).ndim)


def _record(run: Path) -> dict[str, Any]:
    path = run / RUN_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"this is no training run: {error}", where=path, fix="name the folder of `train run`"
        ) from error
    if not isinstance(record, dict) or not record.keys() >= RECORDED:
        raise InputError("run.json is not of a run", where=path, fix="name another --run")
    return record


def _quality(run: Path, name: str) -> dict[str, Any] | None:
    """The student's row of the run's comparison, None where the run has not come to it."""
    try:
        rows = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return next((row for row in rows if row.get("name") == name), None)

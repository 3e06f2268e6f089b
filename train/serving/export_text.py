"""The files of an exported folder that are read: what the student is, and how to use it."""

from importlib import metadata
from pathlib import Path
from typing import Any

from schemas.ids import id_of
from train.serving.parity_pictures import ParityPictures
from train.stages import Stage

PACKAGES = ("leaf-iqa", "torch", "timm", "pillow", "safetensors", "onnx", "onnxruntime")


def timm_config(stage: Stage, *, licence: str | None) -> dict[str, Any]:
    """config.json as timm writes and reads it, for `timm.create_model("local-dir:FOLDER")`.

    Args:
        stage: the student.
        licence: of the pretrained weights that it started from, in timm's words.
    """
    student, crop_px = stage.student, stage.images.crop_px
    source = student.network.pretrained_cfg
    classes = 1 if student.score_head is None else 0
    mean, std = normalisation(stage)
    description = {
        "input_size": [3, crop_px, crop_px],
        "fixed_input_size": bool(source.get("fixed_input_size")),
        "interpolation": "bicubic",
        "crop_pct": crop_px / max(crop_px, stage.images.short_side_px or crop_px),
        "crop_mode": "center",
        "mean": mean,
        "std": std,
        "num_classes": classes,
        "first_conv": source.get("first_conv"),
        "classifier": source.get("classifier"),
        "custom_load": False,
    }
    return {
        "architecture": source["architecture"],
        "num_classes": classes,
        "num_features": student.network.num_features,
        "model_args": stage.settings.backbone_args,
        "pretrained_cfg": description | ({"license": licence} if licence else {}),
        "leaf_iqa": {"name": stage.name, "student": stage.settings.architecture()},
    }


def preprocessing(stage: Stage) -> dict[str, Any]:
    """preprocessing.json: from a file's pixels to the network's input."""
    mean, std = normalisation(stage)
    return {
        "short_side_px": stage.images.short_side_px,
        "crop_px": stage.images.crop_px,
        "interpolation": "bicubic",
        "crop_mode": "center",
        "mean": mean,
        "std": std,
    }


def normalisation(stage: Stage) -> tuple[list[float], list[float]]:
    """Mean and deviation of R, G and B in [0, 1] that the student subtracts and divides by."""
    timm_s = stage.student.network.pretrained_cfg
    own = stage.settings
    return list(own.input_mean or timm_s["mean"]), list(own.input_std or timm_s["std"])


def calibration(stage: Stage, record: dict[str, Any]) -> dict[str, Any]:
    """calibration.json: from a raw score to people's scale, and how sure that is."""
    return {
        "mapping": stage.mapping.as_dict(),
        "interval": None
        if stage.interval is None
        else {
            "half_width": stage.interval,
            "coverage": record["settings"]["ladder"]["coverage"],
        },
        "facts": stage.facts,
    }


def provenance(
    stage: Stage,
    record: dict[str, Any],
    quality: dict[str, Any] | None,
    parity: dict[str, Any] | None,
) -> dict[str, Any]:
    """provenance.json: what the student was made of, and how good it was found to be.

    Args:
        stage: the student.
        record: run.json.
        quality: the student's row of summary.json, None where the run was not finished.
        parity: what the ONNX model was compared on, None where there is none.
    """
    init = record["settings"]["student"]
    return {
        "run_id": record["run_id"],
        "student": stage.name,
        "teacher_ids": record["teacher_ids"],
        "store_root_hash": id_of(record["evidence"]),
        "evidence": record["evidence"],
        "labels": {
            "count": stage.facts.get("labelled_count", 0),
            "fraction": label_fraction(stage.name),
            "image_ids_sha256": stage.facts.get("labelled_images_sha256"),
        },
        "initial_weights": {"init": init["init"], "file": Path(init["init_weights"]).name or None},
        "measured_quality": quality,
        "onnx_parity": parity,
        "trained_with": record["versions"],
        "exported_with": _versions(),
    }


def label_fraction(name: str) -> float:
    """The share of the labels that a student's name tells, such as leaf_10."""
    share = name.rpartition("_")[2]
    try:
        return float(share) / 100
    except ValueError:
        return 0.0


def parity_report(
    pictures: ParityPictures, largest: float, tolerance: float
) -> dict[str, str | float]:
    """What the ONNX model was compared on, for provenance.json."""
    return {
        "compared_on": pictures.described(),
        "largest_difference": largest,
        "tolerance": tolerance,
    }


def _versions() -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

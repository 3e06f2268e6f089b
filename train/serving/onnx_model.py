"""A student as an ONNX model: pixels in, calibrated scores out; and whether it says the same.

The model takes (batch, 3, crop, crop) uint8 pixels named "pixels", as they are in the file, and
gives (batch,) float32 scores named "score". Normalisation and calibration are inside.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from schemas.errors import InputError, TrainingError

ONNX_FILE = "model.onnx"
INPUT, OUTPUT = "pixels", "score"
TOLERANCE = 1e-4
"""Largest difference from PyTorch's scores that is allowed, on a scale of 0 to 1."""

_WITHOUT = "say --no-onnx to leave the ONNX model out"
_PASS = 8  # images per pass of the comparison


def require_onnx() -> None:
    """Refuse before any work is done where a package is missing.

    Raises:
        InputError: onnx, onnxscript or onnxruntime is not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise InputError(
            f"an ONNX model cannot be written: {error}",
            where="--onnx",
            fix=f"install onnx, onnxscript and onnxruntime, or {_WITHOUT}",
        ) from error
    del onnx, onnxruntime, onnxscript


def write_onnx(scores: nn.Module, crop_px: int, path: Path) -> None:
    """Write a module as an ONNX model whose batch may have any size.

    Args:
        scores: (B, 3, crop, crop) uint8 pixels to (B,) scores; put into evaluation mode.
        crop_px: side of the pictures.
        path: the file; weights beyond ONNX's limit of 2 GB go into one beside it.

    Raises:
        TrainingError: the network holds something that ONNX cannot express.
    """
    example = torch.zeros((2, 3, crop_px, crop_px), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        # torch 2.13 warns of its own use of its own tree; nothing here can change that.
        warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)
        try:
            program = torch.onnx.export(
                scores.eval().cpu(),
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise TrainingError(
                f"the network cannot be written as ONNX: {str(error).splitlines()[0]}",
                where=path.name,
                fix=_WITHOUT,
            ) from error
    if program is None:
        raise TrainingError("torch wrote no ONNX model", where=path.name, fix=_WITHOUT)
    program.save(path)


def largest_difference(scores: nn.Module, path: Path, pixels: NDArray[np.uint8]) -> float:
    """How far the ONNX model's scores are from PyTorch's, at most.

    Args:
        scores: what was written.
        path: the ONNX model.
        pixels: (N, crop, crop, 3) pictures.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    # The first picture alone, then the others a few at a time: the batch is free to vary.
    starts = [0, *range(1, len(pixels), _PASS)]
    for start, end in zip(starts, [*starts[1:], len(pixels)], strict=True):
        batch = np.ascontiguousarray(pixels[start:end].transpose(0, 3, 1, 2))
        with torch.inference_mode():
            expected: Tensor = scores(torch.from_numpy(batch))
        (given,) = session.run([OUTPUT], {INPUT: batch})
        difference = np.abs(given.astype(np.float64) - expected.double().numpy())
        largest = max(largest, float(np.nan_to_num(difference, nan=np.inf).max()))
    return largest


def check_parity(largest: float, tolerance: float) -> None:
    """Refuse an ONNX model that says something else than PyTorch.

    Raises:
        TrainingError: the largest difference is above the tolerance.
    """
    if largest > tolerance:
        raise TrainingError(
            f"the ONNX model's scores differ from PyTorch's by up to {largest:.3g},"
            f" and {tolerance:g} is allowed; nothing was written",
            where=ONNX_FILE,
            fix=f"{_WITHOUT}, and report the backbone: its operators round differently there",
        )

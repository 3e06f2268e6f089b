"""How a tuned teacher's scores agree with opinions that it has not learnt from."""

from collections.abc import Sequence

import numpy as np
import torch

from annotate.image_stream import StoredImage
from annotate.readouts.fit import measured
from annotate.readouts.readout import FloatArray, Readout
from annotate.tuning.model import TunedTeacher
from annotate.tuning.sight import Pictures
from data_store.console import progress

MEASURES = ("srcc", "plcc", "rmse", "bias")


def score_pictures(
    tuned: TunedTeacher,
    readout: Readout,
    pictures: Pictures,
    images: Sequence[StoredImage],
    *,
    batch_size: int,
) -> FloatArray:
    """Score pictures with the merged teacher and its readout; neither clips.

    Returns:
        (N,) on the scale of MOS.

    Raises:
        ImageError: a picture cannot be decoded.
    """
    tuned.eval()
    batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    scores: list[FloatArray] = []
    with progress(len(images), label="score", unit="images") as bar, torch.no_grad():
        for seen in pictures.batches(batches):
            scores.append(readout(tuned.states(seen).cpu().numpy()))
            bar.advance(len(seen))
    return np.concatenate(scores) if scores else np.zeros(0)


def measures(scores: FloatArray, mos: FloatArray) -> dict[str, float | None]:
    """SRCC, PLCC without a fit, RMSE and mean error, of scores clipped to the scale.

    Args:
        scores: (N,) on the scale of MOS.
        mos: (N,) in [0, 1].

    Returns:
        None for a correlation with a constant; empty for fewer than two images.
    """
    if len(mos) < 2:
        return {}
    clipped = np.clip(scores, 0.0, 1.0)  # as `annotate readout apply` keeps them
    found = measured("q_scorer", clipped, mos)
    values = {name: getattr(found, name) for name in MEASURES}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}

"""Five distortions with one severity scale, and the known quality of what they leave.

A severity in [0, 1] means about the same visible damage for every kind: the tables below were
set so that the mean GMSD (gradient magnitude similarity deviation, Xue et al. 2014) to the
original over sixty 112 px crops of well-rated photographs is about 0.015, 0.045, 0.10, 0.15
and 0.20 at the five steps (JPEG a step milder, as blocks annoy more than GMSD says).

Known quality follows from the severities alone, 1 for pristine. It is NOT human opinion: it
knows nothing about content, and a flat crop hides what was done to it.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

SEVERITY_STEPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Severities at which the strength tables are given; strengths between are interpolated."""

STRENGTHS = {
    "contrast": (1.0, 0.75, 0.57, 0.40, 0.29, 0.20),  # factor on the distance to the mean colour
    "blur": (0.0, 0.6, 1.0, 1.65, 2.5, 4.0),  # standard deviation of a Gaussian, px
    "downsampling": (1.0, 1.5, 2.2, 3.4, 4.8, 7.0),  # factor by which each side shrinks
    "noise": (0.0, 7.0, 13.0, 25.0, 38.0, 58.0),  # standard deviation, grey levels of 255
    "jpeg": (92.0, 45.0, 22.0, 11.0, 6.5, 4.0),  # Pillow's quality setting
}
"""Strength of each kind at `SEVERITY_STEPS`, in the order a camera would apply them."""

KINDS = tuple(STRENGTHS)


@dataclass(frozen=True, slots=True)
class Degradation:
    """What is done to one crop: kinds in the order of `KINDS`, each with its severity in (0, 1]."""

    severities: tuple[tuple[str, float], ...]

    @property
    def known_quality(self) -> float:
        """Quality in [0, 1], 1 for pristine: prod_k (1 - severity_k), as damages add up."""
        return float(np.prod([1.0 - severity for _, severity in self.severities]))

    @property
    def kind(self) -> str:
        """Name for tables: `pristine`, `blur`, `blur+jpeg`."""
        return "+".join(kind for kind, _ in self.severities) or "pristine"


def draw_degradation(rng: np.random.Generator) -> Degradation:
    """Draw what to do to a crop: 6 % nothing, 58 % one kind, 36 % two or three kinds.

    Known quality is nearly uniform: of a mixture, the total is drawn first and then shared out.
    """
    draw = rng.random()
    if draw < 0.06:
        return Degradation(())
    count = 1 if draw < 0.64 else int(rng.integers(2, 4))
    chosen = sorted(rng.choice(len(KINDS), size=count, replace=False))
    quality = rng.uniform(0.02, 1.0)
    shares = rng.dirichlet(np.full(count, 2.0)) if count > 1 else np.ones(1)
    severities = 1.0 - quality**shares
    return Degradation(
        tuple((KINDS[i], float(severity)) for i, severity in zip(chosen, severities, strict=True))
    )


def degrade(image: Image.Image, degradation: Degradation, rng: np.random.Generator) -> Image.Image:
    """Apply a degradation; the size stays. `rng` draws the noise and nothing else."""
    for kind, severity in degradation.severities:
        image = distort(image, kind, severity, rng)
    return image


def distort(
    image: Image.Image, kind: str, severity: float, rng: np.random.Generator
) -> Image.Image:
    """Apply one kind of distortion to an RGB image; severity 0 gives the image back.

    Args:
        image: RGB, any size.
        kind: one of `KINDS`.
        severity: in [0, 1].
        rng: draws the noise; the other kinds do not touch it.

    Raises:
        ValueError: the kind is unknown or the severity outside [0, 1].
    """
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity {severity} is outside [0, 1]")
    if kind not in STRENGTHS:
        raise ValueError(f"unknown distortion {kind!r}; choose from {', '.join(KINDS)}")
    if severity == 0.0:
        return image
    strength = float(np.interp(severity, SEVERITY_STEPS, STRENGTHS[kind]))
    match kind:
        case "contrast":
            return _lower_contrast(image, strength)
        case "blur":
            return image.filter(ImageFilter.GaussianBlur(strength))
        case "downsampling":
            return _shrink_and_enlarge(image, strength)
        case "noise":
            return _add_noise(image, strength, rng)
        case _:
            return _compress(image, round(strength))


def _lower_contrast(image: Image.Image, factor: float) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    mean_colour = pixels.mean(axis=(0, 1))
    return _to_image(mean_colour + factor * (pixels - mean_colour))


def _shrink_and_enlarge(image: Image.Image, factor: float) -> Image.Image:
    width_px, height_px = (max(1, round(side / factor)) for side in image.size)
    small = image.resize((width_px, height_px), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _add_noise(image: Image.Image, std: float, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    return _to_image(pixels + std * rng.standard_normal(pixels.shape, dtype=np.float32))


def _compress(image: Image.Image, jpeg_quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=jpeg_quality)
    with Image.open(stream) as decoded:
        return decoded.convert("RGB")


def _to_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))

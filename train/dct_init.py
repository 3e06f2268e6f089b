"""Initial weights that let a small network see distortions from its first step.

Blur, noise and compression change the *spectrum* of an image. A network of a few million
weights, trained on a few thousand images, does not find that by itself, so its first layers
begin as a spectrum analyser: a patch becomes its DCT coefficients (`luminance_dct_filters`),
neighbouring patches are left apart (`identity_kernels`) and a pair of opposite rows before a
GELU turns a coefficient into its magnitude (`magnitude_rows`). All of it stays trainable.
Which layer of which model gets which of these is for `student.py` and the tiny teacher's tool.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIGH_FREQUENCY_GAIN = 3.0
MAGNITUDE_GAIN = 2.0
KERNEL_NOISE = 0.02

LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)
"""Share of R, G and B in luminance, ITU-R BT.601."""


@torch.no_grad()
def start_as_spectrum_analyser(
    stem: nn.Conv2d,
    depthwise: nn.Conv2d,
    first_linear: nn.Module,
    gammas: Sequence[Tensor],
    *,
    generator: torch.Generator,
) -> None:
    """Give a ConvNeXt its first weights.

    Args:
        stem: the patch stem, stride equal to kernel size.
        depthwise: of the first block.
        first_linear: of the first block's MLP; its weight is (hidden, width) or (hidden, width,
            1, 1).
        gammas: layer scale of every block; set to 1, or the blocks would hardly take part.
        generator: draws what is random.
    """
    weight: Tensor = first_linear.weight  # type: ignore[assignment]
    hidden, width = weight.shape[:2]
    filters = luminance_dct_filters(
        stem.kernel_size[0], stem.out_channels, high_frequency_gain=HIGH_FREQUENCY_GAIN
    )
    kernels = identity_kernels(
        width, depthwise.kernel_size[0], noise_std=KERNEL_NOISE, generator=generator
    )
    rows = magnitude_rows(hidden, width, gain=MAGNITUDE_GAIN, generator=generator)
    stem.weight.copy_(filters)
    depthwise.weight.copy_(kernels)
    weight.copy_(rows.view_as(weight))
    for gamma in gammas:
        gamma.fill_(1.0)


def dct_basis(patch_px: int) -> Tensor:
    """Orthonormal two-dimensional DCT-II basis without its constant, low frequencies first.

    b_u(x) = c_u cos(pi (2x + 1) u / 2p), c_0 = sqrt(1/p), c_u = sqrt(2/p);  B_uv = b_u b_v^T

    Args:
        patch_px: side p of the square patch, at least 2.

    Returns:
        (p*p - 1, p, p) float32, ordered by `dct_frequencies`.
    """
    position = torch.arange(patch_px, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * position[None] + 1) * position[:, None] / (2 * patch_px))
    rows *= math.sqrt(2 / patch_px)
    rows[0] /= math.sqrt(2)
    basis = torch.einsum("ux,vy->uvxy", rows, rows).flatten(0, 1)
    return basis[_frequency_order(patch_px)].float()


def dct_frequencies(patch_px: int) -> Tensor:
    """Radial frequency of each filter of `dct_basis`, 1 at the highest.

    Returns:
        (p*p - 1,) float32 in (0, 1], ascending: sqrt(u^2 + v^2) / (sqrt(2) (p - 1)).
    """
    return _radial_frequency(patch_px)[_frequency_order(patch_px)].float()


def luminance_dct_filters(
    patch_px: int, filter_count: int, *, high_frequency_gain: float
) -> Tensor:
    """Filters of a patch embedding or stem that measure DCT coefficients of luminance.

    Natural images lose amplitude about as 1/f, so without a boost the high coefficients,
    which tell blur and noise, start too small to be learnt from.

    Fewer filters than coefficients are spread evenly over the frequency order, both ends
    kept. Further filters go through all coefficients again with the opposite sign (which a
    following ReLU or GELU tells apart), then again with the first sign, and so on.

    Args:
        patch_px: side p of the patch, at least 2; there are p*p - 1 coefficients without DC.
        filter_count: F, at least 1.
        high_frequency_gain: a filter's norm before the luminance weights is
            1 + gain * frequency, frequency in (0, 1]; 0 leaves the basis orthonormal.

    Returns:
        (F, 3, p, p) float32 for channels R, G, B.
    """
    basis, frequency = dct_basis(patch_px), dct_frequencies(patch_px)
    boosted = basis * (1 + high_frequency_gain * frequency)[:, None, None]
    coefficient_count = len(boosted)
    if filter_count < coefficient_count:
        chosen = torch.linspace(0, coefficient_count - 1, filter_count).round().long()
        filters = boosted[chosen]
    else:
        number = torch.arange(filter_count)
        sign = 1.0 - 2.0 * ((number // coefficient_count) % 2)
        filters = boosted[number % coefficient_count] * sign[:, None, None]
    return filters[:, None] * torch.tensor(LUMINANCE_WEIGHTS)[None, :, None, None]


def magnitude_rows(
    row_count: int, input_count: int, *, gain: float, generator: torch.Generator
) -> Tensor:
    """Weight of a linear layer whose GELU outputs are magnitudes, in pairs of opposite rows.

    GELU(z) + GELU(-z) is even in z and grows like |z|, so a following layer that adds the
    two has the magnitude of an input, whatever its sign. Rows 2k and 2k + 1 are plus and
    minus `gain` times input k; when all inputs have a pair, the remaining pairs look along
    random directions. An odd last row is left without its partner.

    Args:
        row_count: outputs of the layer.
        input_count: inputs of the layer.
        gain: norm of every row; large makes GELU sharper, so pairs nearer to |z|.
        generator: draws the random directions.

    Returns:
        (row_count, input_count) float32.
    """
    pair_count = math.ceil(row_count / 2)
    directions = torch.eye(input_count)
    if pair_count > input_count:
        extra = torch.randn(pair_count - input_count, input_count, generator=generator)
        directions = torch.cat([directions, extra / extra.norm(dim=1, keepdim=True)])
    directions = directions[:pair_count]
    return gain * torch.stack([directions, -directions], dim=1).flatten(0, 1)[:row_count]


def identity_kernels(
    channel_count: int, kernel_px: int, *, noise_std: float, generator: torch.Generator
) -> Tensor:
    """Depth-wise kernels that hand each channel on unmixed, plus noise to break the symmetry.

    Args:
        channel_count: C.
        kernel_px: side k of the kernel, odd.
        noise_std: standard deviation of the noise on every weight.
        generator: draws the noise.

    Returns:
        (C, 1, k, k) float32, the shape of a depth-wise convolution's weight.
    """
    kernels = noise_std * torch.randn(channel_count, 1, kernel_px, kernel_px, generator=generator)
    kernels[:, :, kernel_px // 2, kernel_px // 2] += 1.0
    return kernels


def _radial_frequency(patch_px: int) -> Tensor:
    """(p*p,) radius of every (u, v) in row order, DC included, 1 at the corner."""
    index = torch.arange(patch_px, dtype=torch.float64)
    return torch.hypot(index[:, None], index[None]).flatten() / (math.sqrt(2) * (patch_px - 1))


def _frequency_order(patch_px: int) -> Tensor:
    """(p*p - 1,) positions in row order by rising radius, without DC; ties keep row order."""
    return torch.sort(_radial_frequency(patch_px), stable=True).indices[1:]

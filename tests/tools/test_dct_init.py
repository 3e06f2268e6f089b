import pytest
import torch
from torch.nn import functional

from train.dct_init import (
    LUMINANCE_WEIGHTS,
    dct_basis,
    dct_frequencies,
    identity_kernels,
    luminance_dct_filters,
    magnitude_rows,
)


@pytest.mark.parametrize("patch_px", [2, 4, 14])
def test_basis_is_orthonormal_without_a_constant(patch_px: int) -> None:
    basis = dct_basis(patch_px).flatten(1)
    assert basis.shape == (patch_px**2 - 1, patch_px**2)
    torch.testing.assert_close(basis @ basis.T, torch.eye(patch_px**2 - 1), atol=1e-5, rtol=0)
    assert basis.sum(dim=1).abs().max() < 1e-5


def test_frequencies_rise_to_one() -> None:
    frequency = dct_frequencies(4)
    assert (frequency.diff() >= 0).all()
    assert frequency[0] > 0
    assert frequency[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("filter_count", [1, 7, 15, 40, 128])
def test_filters_are_blind_to_flat_patches(filter_count: int) -> None:
    filters = luminance_dct_filters(4, filter_count, high_frequency_gain=3.0)
    assert filters.shape == (filter_count, 3, 4, 4)
    flat = torch.rand(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert functional.conv2d(flat, filters, stride=4).abs().max() < 1e-5


def test_gain_boosts_the_highest_frequency_most() -> None:
    norms = luminance_dct_filters(14, 128, high_frequency_gain=3.0).flatten(1).norm(dim=1)
    plain = torch.tensor(LUMINANCE_WEIGHTS).norm()
    assert (norms.diff() >= -1e-5).all()
    assert norms[-1] == pytest.approx(float(4.0 * plain), rel=1e-4)


def test_filters_beyond_the_basis_come_back_with_the_other_sign() -> None:
    filters = luminance_dct_filters(4, 32, high_frequency_gain=1.0)
    assert torch.equal(filters[15:30], -filters[:15])
    assert torch.equal(filters[30:], filters[:2])


def test_a_pair_of_rows_gives_an_even_response() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = magnitude_rows(24, 4, gain=4.0, generator=generator)
    torch.testing.assert_close(rows.norm(dim=1), torch.full((24,), 4.0))
    inputs = torch.randn(10, 4, generator=generator)
    pair_sum = functional.gelu(inputs @ rows.T).unflatten(1, (12, 2)).sum(dim=2)
    pair_sum_negated = functional.gelu(-inputs @ rows.T).unflatten(1, (12, 2)).sum(dim=2)
    torch.testing.assert_close(pair_sum, pair_sum_negated)
    torch.testing.assert_close(pair_sum[:, :4], 4 * inputs.abs(), atol=0.35, rtol=0)


def test_identity_kernels_hand_channels_on() -> None:
    generator = torch.Generator().manual_seed(0)
    kernels = identity_kernels(5, 7, noise_std=0.0, generator=generator)
    image = torch.rand(1, 5, 9, 9, generator=generator)
    torch.testing.assert_close(functional.conv2d(image, kernels, padding=3, groups=5), image)

"""METHOD's test vectors (section 6.3), on the code that users run: the store's SQL and `train/`.

Those that stand elsewhere, and are not repeated:

- the identity of the published PLCC loss, (1 - rho)/4 + (1 - rho^2)/8: test_losses.py
- c(.9), c(.75), c(.5); one-hot "fair" and uniform; the swap average, in Python:
  tests/schemas/test_scale.py
- Bradley-Terry scores do not depend on names, order or side: tests/data_store/test_bradley_terry.py
- an affine map leaves PLCC and SRCC unchanged: evaluation/test_metrics.py; the mean error is 0
  after shift and scale: where `fit_shift_and_scale` is tested

The quantiser has no code here, because nothing of ours learns single levels; its vector says what
that spares. The last one is METHOD 4.1's simulation, which decision 19 rests on.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.index import query
from data_store.layout import create_store
from data_store.shards import commit_rows
from schemas.pairs import PAIRS
from schemas.rows import to_table
from schemas.scale import LEVEL_VALUES, confidence, preference_prob, preference_prob_mean
from train.losses import fidelity_loss, level_log_probs

VALUES = np.array(LEVEL_VALUES)


def pair_row(first, *, logit, bias):
    """One pair asked in both orders: `logit` for the first image, `bias` for the first place."""
    # Halves of small numbers, so that neither float32 nor the logarithms round.
    ab, ba = (logit + bias) / 2, (bias - logit) / 2
    return {
        "image_a": first * 64,
        "image_b": "f" * 64,
        "teacher_id": "1" * 64,
        "prompt_id": "2" * 64,
        "letter_logprobs_ab": [-8 + ab, -8 - ab],
        "letter_logprobs_ba": [-8 + ba, -8 - ba],
        "given_preference": None,
        "prompt_tokens": 1,
        "cached_tokens": 0,
    }


BIASES = {"a": 0.0, "b": 1.0, "c": -2.5, "d": 6.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One preference, four times with another position bias."""
    made = create_store(tmp_path_factory.mktemp("vectors") / "store")
    rows = [pair_row(first, logit=1.5, bias=bias) for first, bias in BIASES.items()]
    commit_rows(made, "pairs", to_table(rows, PAIRS), producer="vectors", teacher_id="1" * 64)
    return made


def numbers(store, *expressions):
    """Of SQL expressions over the macros that the views are made of."""
    return list(query(store, f"select {', '.join(expressions)}").to_pylist()[0].values())


def test_confidence_of_a_preference_in_sql(store):
    found = numbers(store, *(f"certainty({p}) as c{n}" for n, p in enumerate((0.9, 0.75, 0.5))))
    assert found == pytest.approx([0.5310, 0.1887, 0], abs=5e-5)


def test_one_hot_fair_and_uniform_levels_are_three_in_sql(store):
    fair, uniform = "0.0, 0.0, 1.0, 0.0, 0.0", "0.2, 0.2, 0.2, 0.2, 0.2"
    found = numbers(
        store,
        f"mean_level({fair}) as fair",
        f"mean_level({uniform}) as uniform",
        f"1 + 4 * score_of([{fair}]) as fair_score",
        f"1 + 4 * score_of([{uniform}]) as uniform_score",
    )
    assert found == pytest.approx([3, 3, 3, 3])


def test_the_swap_average_takes_an_additive_bias_off_exactly_in_sql(store):
    rows = query(store, "from pairs order by image_a").to_pylist()
    assert [row["position_bias"] for row in rows] == list(BIASES.values())
    assert {row["preference_prob"] for row in rows} == {rows[0]["preference_prob"]}
    assert rows[0]["preference_prob"] == pytest.approx(1 / (1 + np.exp(-1.5)))
    # The other mean keeps it, as doubt: least in the first row, most in the last.
    doubt = [row["confidence_mean"] for row in rows]
    assert doubt == sorted(doubt, reverse=True)
    assert doubt[0] == pytest.approx(rows[0]["confidence"])


@settings(max_examples=50)
@given(st.floats(-0.8, 0.8), st.floats(0.1, 1.0))
def test_fidelity_loss_is_zero_where_student_and_teacher_agree(gap, temperature):
    gaps = torch.tensor([gap], dtype=torch.float64)
    shared = torch.special.ndtr(gaps / temperature * np.sqrt(np.pi / 8))
    loss = fidelity_loss(gaps, shared, torch.ones(1), temperature=temperature)
    # sqrt(e) = 1e-4 is what the floor below the roots may cost where both are certain.
    assert loss.item() == pytest.approx(0, abs=1.1e-4)
    turned = fidelity_loss(-gaps, shared, torch.ones(1), temperature=temperature)
    assert turned.item() >= loss.item()


def test_fidelity_loss_is_zero_at_one_half_to_the_last_digits():
    loss = fidelity_loss(torch.zeros(1), torch.tensor([0.5]), torch.ones(1), temperature=0.1)
    assert loss.item() == pytest.approx(0, abs=1e-7)


def test_single_levels_would_cost_a_third_of_a_level():
    mos = np.linspace(1, 5, 400_001)
    level = VALUES[np.minimum((mos - 1) // 0.8, 4).astype(int)]
    assert np.abs(level - mos).mean() == pytest.approx(0.300, abs=5e-4)
    assert np.sqrt(np.mean((level - mos) ** 2)) == pytest.approx(0.3651, abs=5e-5)


@pytest.mark.parametrize("mos", [3.4, 2.05, 4.6])
def test_the_soft_label_of_a_mos_has_mass_one_and_the_mos_as_its_mean(mos):
    score, variance = torch.tensor([(mos - 1) / 4]).double(), torch.tensor([0.5**2]).double()
    mass = level_log_probs(score, variance)[0].exp().numpy()
    # DeQA-Score's repair: alpha q + beta, so that both sums are right.
    total, mean = mass.sum(), VALUES @ mass
    alpha = (mos - 3) / (mean - 3 * total)
    label = alpha * mass + (1 - alpha * total) / 5
    assert label.sum() == pytest.approx(1)
    assert label @ VALUES == pytest.approx(mos)
    # The mass that `level_loss` gives the student hardly needs it.
    assert np.abs(label - mass).max() < 0.02


def test_confidence_from_the_mean_of_probabilities_keeps_fewer_pairs_that_are_right_more_often():
    # Simulated, as METHOD 6.4 says: percept = quality + noise, logit = 2 gap +- bias + noise.
    kept: dict[str, list[tuple[float, float]]] = {"logits": [], "probabilities": []}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        quality = rng.standard_normal(400)
        percept = quality + 0.5 * rng.standard_normal(400)
        order = np.concatenate([rng.permutation(400) for _ in range(5)]).reshape(-1, 2)
        i, j = order.T
        shared = 2 * (percept[i] - percept[j]) + 0.7 * rng.standard_normal(len(i))
        ab, ba = (shared + bias + 0.7 * rng.standard_normal(len(i)) for bias in (2, -2))
        letters = np.stack([ab, np.zeros_like(ab)], 1), np.stack([np.zeros_like(ba), ba], 1)
        prob = preference_prob(*letters)
        right = (prob > 0.5) == (quality[i] > quality[j])
        for name, p in (("logits", prob), ("probabilities", preference_prob_mean(*letters))):
            sure = confidence(np.stack([p, 1 - p], axis=1)) >= 0.1
            kept[name].append((sure.mean(), right[sure].mean()))
    assert np.mean(kept["logits"], axis=0) == pytest.approx([0.81, 0.889], abs=0.012)
    assert np.mean(kept["probabilities"], axis=0) == pytest.approx([0.62, 0.935], abs=0.012)

"""A readout is the layers it says, wherever it is read, and half a readout is none."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.readouts.files import NUMBERS, RECORD, check_target, load_readout, save_readout
from annotate.readouts.readout import BLOCK_ROWS, LabelSource, Layer, Readout, label_source
from annotate.readouts.score_mlp import ScoreMlp, parameter_count
from schemas.errors import InputError

LABELS = LabelSource(8, "0" * 64, 1.0, 0, 0, 0.2)


@pytest.fixture
def readout() -> Readout:
    return Readout(
        "mlp_state",
        "a" * 64,
        "b" * 64,
        LABELS,
        mean=np.array([1.0, 2.0]),
        deviation=np.array([1.0, 0.5]),
        layers=(
            Layer(np.array([[1.0, 1.0], [-1.0, 0.0]]), np.array([0.0, 0.5])),
            Layer(np.array([[0.25, 2.0]]), np.array([-0.5])),
        ),
    )


def test_a_score_is_the_chain_of_layers_worked_by_hand(readout):
    # (3, 3) is standardised to (2, 2); relu of (4, -1.5) is (4, 0); 0.25 * 4 - 0.5 = 0.5.
    # (0, 1) is standardised to (-1, -2); relu of (-3, 1.5) is (0, 1.5); 2 * 1.5 - 0.5 = 2.5.
    scores = readout(np.array([[3.0, 3.0], [0.0, 1.0]], dtype=np.float16))
    assert scores.tolist() == [0.5, 2.5]
    assert scores.dtype == np.float64


def test_many_images_get_the_scores_they_get_alone(readout):
    features = np.random.default_rng(0).standard_normal((BLOCK_ROWS + 5, 2))
    scores = readout(features)
    for row in (0, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 4):
        assert scores[row] == pytest.approx(readout(features[row : row + 1])[0], rel=1e-12)


def test_a_readout_of_another_width_is_refused(readout):
    with pytest.raises(InputError, match="reads 2 numbers"):
        readout(np.zeros((4, 3)))


def test_the_mlp_and_its_readout_give_the_same_scores():
    mlp = ScoreMlp(5, (4, 3), generator=torch.Generator().manual_seed(0))
    mlp.standardise(np.arange(5.0), np.arange(1.0, 6.0))
    mlp.start_at(0.4)
    mean, deviation, layers = mlp.numbers()
    readout = Readout(
        "q_scorer", "a" * 64, "b" * 64, LABELS, mean=mean, deviation=deviation, layers=layers
    )
    features = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    with torch.no_grad():
        expected = mlp(torch.from_numpy(features)).numpy()
    assert np.abs(readout(features) - expected).max() < 1e-6
    assert parameter_count(5, (4, 3)) == sum(one.numel() for one in mlp.parameters())


def test_a_saved_readout_is_read_back_whole(readout, tmp_path):
    save_readout(readout, tmp_path / "readout")
    found = load_readout(tmp_path / "readout")
    assert found.readout_id == readout.readout_id
    assert found.labels == readout.labels
    features = np.random.default_rng(0).standard_normal((9, 2))
    assert np.array_equal(found(features), readout(features))
    assert sorted(path.name for path in (tmp_path / "readout").iterdir()) == [RECORD, NUMBERS]


def test_who_a_readout_is_follows_from_its_numbers_and_whose_evidence_it_reads(readout):
    moved = replace(readout, mean=readout.mean + 1e-9)
    other = replace(readout, teacher_id="c" * 64)
    same = replace(readout, labels=replace(LABELS, label_count=9))
    ids = [one.readout_id for one in (readout, moved, other, same)]
    assert len(set(ids)) == 3
    assert ids[0] == ids[3]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "poet"}, "'poet'"),
        ({"deviation": np.array([1.0, 0.0])}, "not above 0"),
        ({"mean": np.array([1.0, np.nan])}, "finite"),
        ({"layers": ()}, "one number"),
        ({"layers": (Layer(np.ones((1, 3)), np.ones(1)),)}, "layer 0"),
        ({"layers": (Layer(np.ones((2, 2)), np.ones(2)),)}, "one number"),
        ({"levels": ("bad", "good")}, "2 levels"),
        ({"kind": "ridge_levels"}, "0 levels"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_no_readout(readout, change, match):
    with pytest.raises(InputError, match=match):
        replace(readout, **change)


def spoil_numbers(folder):
    data = bytearray((folder / NUMBERS).read_bytes())
    data[-1] ^= 1
    (folder / NUMBERS).write_bytes(data)


def spoil_record(folder):
    text = (folder / RECORD).read_text(encoding="utf-8")
    (folder / RECORD).write_text(text[: len(text) // 2], encoding="utf-8")


def of_the_future(folder):
    record = json.loads((folder / RECORD).read_bytes())
    (folder / RECORD).write_text(json.dumps(record | {"format": 99}), encoding="utf-8")


def without_labels(folder):
    record = json.loads((folder / RECORD).read_bytes())
    del record["labels"]
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (spoil_numbers, "not those that readout.json was written with"),
        (spoil_record, "cannot be read"),
        (of_the_future, "format 99"),
        (without_labels, "lacks 'labels'"),
        (lambda folder: (folder / NUMBERS).unlink(), "cannot be read"),
        (lambda folder: (folder / RECORD).unlink(), "no readout here"),
    ],
)
def test_a_damaged_readout_is_refused_and_the_file_is_named(readout, tmp_path, spoil, match):
    save_readout(readout, tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=match) as refused:
        load_readout(tmp_path)
    assert str(tmp_path) in refused.value.where


def test_a_readout_is_replaced_only_when_asked_and_other_things_never(readout, tmp_path):
    check_target(tmp_path / "new", force=False)
    save_readout(readout, tmp_path)
    with pytest.raises(InputError, match="already"):
        check_target(tmp_path, force=False)
    (tmp_path / ".tmp-left-by-a-killed-process").touch()
    check_target(tmp_path, force=True)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="other things"):
        check_target(tmp_path, force=True)
    with pytest.raises(InputError, match="in the way"):
        check_target(tmp_path / "thesis.tex", force=True)


def test_the_record_of_labels_does_not_depend_on_their_order():
    how = {"fraction": 1.0, "seed": 0, "split_seed": 0, "test_fraction": 0.2}
    one = label_source(["a", "b"], np.array([0.1, 0.2]), **how)
    assert one == label_source(["b", "a"], np.array([0.2, 0.1]), **how)
    assert one != label_source(["a", "b"], np.array([0.2, 0.1]), **how)

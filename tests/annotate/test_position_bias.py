"""Asking both orders takes a teacher's liking for the first place out of what is stored."""

import csv
import math

import numpy as np
import pytest

from annotate.pair_strategies import PairChoice
from annotate.run import annotate_pairs
from data_store.images.importer import add_images
from data_store.index import query
from data_store.layout import create_store
from tools.make_demo_images import make_demo_images

pytestmark = pytest.mark.filterwarnings("ignore")
BIAS = 3.0  # logits
IMAGES, PAIRS = 96, 240


class LikesTheFirst:
    """The real engine, with the logit of the letter A raised before the softmax."""

    def __init__(self, engine):
        self.engine = engine
        self.provenance = engine.provenance

    def stream(self, requests):
        for answer in self.engine.stream(requests):
            if len(answer.logprobs) != 2:  # a probe of points
                yield answer
                continue
            a, b = answer.logprobs
            total = math.log1p(math.exp(a) * (math.exp(BIAS) - 1))
            yield answer._replace(logprobs=(a + BIAS - total, b - total))

    def close(self):
        pass


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bias") / "demo"
    make_demo_images(folder, count=IMAGES, seed=3, workers=1, scenes=12)
    with (folder / "mos.csv").open(newline="") as stream:
        quality = {row["image"]: float(row["mos"]) for row in csv.DictReader(stream)}
    return folder / "images", quality


def judged(folder, photographs, teacher, prompt):
    images, quality = photographs
    store = create_store(folder)
    add_images(store, images)
    annotate_pairs(store, teacher, prompt, PairChoice(PAIRS))
    found = query(
        store,
        """
        select a.name as a, b.name as b, preference_prob, logit_ab, position_bias
        from pairs join images a on a.image_id = image_a join images b on b.image_id = image_b
        """,
    ).to_pylist()
    known = {name.rpartition("/")[2]: value for name, value in quality.items()}
    better = np.array([known[row["a"]] > known[row["b"]] for row in found])
    stored = np.array([row["preference_prob"] > 0.5 for row in found])
    one_order = np.array([row["logit_ab"] > 0 for row in found])
    bias = float(np.mean([row["position_bias"] for row in found]))
    return float(np.mean(stored == better)), float(np.mean(one_order == better)), bias


def test_a_bias_of_three_logits_leaves_the_stored_preferences_as_accurate(
    tmp_path, photographs, tiny_teacher, pair_prompt, monkeypatch
):
    fair, _, no_bias = judged(tmp_path / "fair", photographs, tiny_teacher, pair_prompt)
    biased_engine = LikesTheFirst(tiny_teacher.start())
    monkeypatch.setattr(type(tiny_teacher), "engine", biased_engine)
    stored, one_order, bias = judged(tmp_path / "biased", photographs, tiny_teacher, pair_prompt)
    assert fair > 0.75
    assert abs(stored - fair) <= 0.01
    assert one_order < fair - 0.05, "one order alone would have been fooled"
    assert bias - no_bias == pytest.approx(BIAS, abs=0.01)

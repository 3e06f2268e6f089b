"""What is seen of a picture, kept or looked at again."""

import pytest
import torch

from annotate.image_stream import StoredImage
from annotate.prompts import shipped_prompt
from annotate.tuning.labels import read_tuning_data
from annotate.tuning.model import load_weights
from annotate.tuning.sight import Pictures, Sight
from schemas.errors import ImageError


@pytest.fixture(scope="module")
def sight(tiny) -> Sight:
    model = load_weights(tiny.checkpoint, "float32")
    return Sight(tiny, tiny.read(shipped_prompt("point")), model)


def seen(pictures: Pictures, images) -> list[torch.Tensor]:
    return [one.features for batch in pictures.batches(images) for one in batch]


def test_a_picture_that_is_looked_at_again_is_seen_the_same(sight, rated_store, settings):
    images = read_tuning_data(rated_store, settings()).labelled.images[:7]
    batches = [images[:3], images[3:]]
    kept, forgotten = (Pictures(sight, limit_bytes=limit) for limit in (1 << 30, 0))
    first = seen(kept, batches)
    turned = [batch[::-1] for batch in reversed(batches)]
    for pictures in (kept, forgotten):
        again = seen(pictures, turned)
        assert all(map(torch.equal, reversed(again), first))
    assert first[0].shape == (16, 512), "what the projector is given, four patches a token"


def test_a_picture_that_is_gone_stops_the_tuning_and_is_named(sight, tmp_path):
    gone = StoredImage("0" * 64, str(tmp_path / "gone.png"))
    with pytest.raises(ImageError, match=r"gone\.png"):
        seen(Pictures(sight, limit_bytes=0), [[gone]])

"""How many tokens the planned questions have, from the sizes of their images alone.

The words of a question are counted once, by having the checkpoint's own processor render it about
an image of one tile; the tokens of an image are `teachers/image_tokens.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from annotate.pair_order import request_order
from annotate.questions import Question, Reading
from annotate.teachers.checkpoints import read_config
from annotate.teachers.image_tokens import processor_kwargs
from annotate.teachers.teacher import Teacher
from annotate.work import Work
from data_store.index import query
from data_store.layout import Store

IntArray = npt.NDArray[np.int64]

IMAGES_SHOWN = {"point": 1, "pair": 2}
_PLAIN_PX = 64  # less than a tile of any teacher


class Tokens(NamedTuple):
    """Prompt tokens of some rows of the store."""

    total: int
    repeated: int
    """Of these, at the beginning of a question and the same as in the question before it: what
    a prefix cache can serve, before it rounds down to whole blocks."""

    @property
    def repeated_share(self) -> float:
        """Share of the tokens that a prefix cache can serve; 0 where there is no token."""
        return self.repeated / self.total if self.total else 0.0


class Words(NamedTuple):
    """Tokens of one forward pass that belong to no image."""

    to_first_image: int
    """Up to and with the mark that ends the first image."""
    total: int


class TokenCounter:
    """Counts the tokens of one teacher's questions about the images of one plan.

    Args:
        teacher: need not be started.
        questions: as the teacher reads them.
        store: knows the images' sizes.
        images: image_id, in the order of the plan's image numbers.
    """

    def __init__(
        self, teacher: Teacher, questions: Sequence[Question], store: Store, images: pa.Table
    ) -> None:
        self._per_image = _image_tokens(teacher, store, images)
        self._words = [
            [
                _words(teacher, reading, IMAGES_SHOWN[question.spec.kind])
                for reading in question.readings
            ]
            for question in questions
        ]

    def points(self, work: Work) -> Tokens:
        """Tokens of rows (image number, prompt number), in their order."""
        images = self._per_image[work.rows[:, 0]]
        prompts = work.rows[:, 1]
        total = repeated = 0
        for number, words in enumerate(self._words):
            mine = prompts == number
            passes, count = len(words), int(mine.sum())
            tokens = int(images[mine].sum())
            total += passes * tokens + count * sum(one.total for one in words)
            # The passes after the first repeat it whole, and go on from there.
            repeated += (passes - 1) * (tokens + count * words[0].total)
            again = mine[1:] & (work.rows[1:, 0] == work.rows[:-1, 0])
            repeated += int((images[1:][again] + words[0].to_first_image).sum())
        return Tokens(total, repeated)

    def pairs(self, work: Work) -> Tokens:
        """Tokens of rows of two image numbers, both orders of each, in the order of asking."""
        (words,) = self._words
        order = request_order(work.rows)
        first, second = self._per_image[order.first], self._per_image[order.second]
        shown, count = int(first.sum() + second.sum()), len(first)
        again = order.first[1:] == order.first[:-1]
        repeated = int((first[1:][again] + words[0].to_first_image).sum())
        repeated += (len(words) - 1) * (shown + count * words[0].total)
        return Tokens(len(words) * shown + count * sum(one.total for one in words), repeated)


def _image_tokens(teacher: Teacher, store: Store, images: pa.Table) -> IntArray:
    """(N,), image tokens of each image of the plan."""
    numbered = images.select(["image_id"]).append_column(
        "number", pa.array(np.arange(images.num_rows))
    )
    sizes = query(
        store,
        """
        with sizes as (
            select
                image_id, any_value(width_px) as width_px, any_value(height_px) as height_px
            from images group by image_id
        )
        select width_px, height_px from planned join sizes using (image_id) order by number
        """,
        tables={"planned": numbered},
    )
    columns = [sizes.column(name).to_numpy() for name in ("width_px", "height_px")]
    distinct, which = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    sight = teacher.image_tokens
    tokens = np.array([sight.per_image(*size) for size in distinct.tolist()], dtype=np.int64)
    return tokens[which.reshape(-1)]


def _words(teacher: Teacher, reading: Reading, image_count: int) -> Words:
    """What of a forward pass is no image, counted on images of one tile."""
    config = read_config(teacher.checkpoint)
    plain = Image.new("RGB", (_PLAIN_PX, _PLAIN_PX))
    rendered = teacher.processor(
        text=[reading.text],
        images=[[plain] * image_count],
        return_tensors="pt",
        add_special_tokens=False,
        **processor_kwargs(config["architectures"][0], teacher.options.max_tiles),
    )
    ids = np.array(rendered["input_ids"][0].tolist())
    places = np.flatnonzero(ids == config["image_token_id"])
    per_image = len(places) // image_count
    end = int(places[per_image - 1]) + 1
    return Words(end - per_image, len(ids) - len(places))

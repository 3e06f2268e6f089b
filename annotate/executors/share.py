"""Which part of the work is ours, where several processes run the same command at once.

Parts are cut by what an image is (its id, its place on the line of pairs), not by row numbers in
what is still missing. So processes that start at different times, or again after a crash, take
disjoint parts, and together all of it.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from annotate.pair_line import LineKeys, PositionPairs
from annotate.pair_planner import part_of
from annotate.work import Work
from schemas.errors import InputError

# (this process, all processes), most specific first: one task of a Slurm job step (not the batch
# script itself, which has a SLURM_PROCID too but no step of its own), one node of a
# SkyPilot task, one process of torchrun and its like.
RANK_VARIABLES = (
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
    ("RANK", "WORLD_SIZE"),
)
ID_DIGITS = 8  # of an image id; 32 bits, so parts are even to one in four thousand million


class Share(NamedTuple):
    """Part `part` (0 is the first) of `parts`."""

    part: int = 0
    parts: int = 1

    def __str__(self) -> str:
        """For the line that says how much there is to do."""
        return f" (part {self.part + 1} of {self.parts})" if self.parts > 1 else ""

    def of_points(self, work: Work) -> Work:
        """The rows whose image lies in our part of all image ids."""
        if self.parts == 1:
            return work
        heads = pc.utf8_slice_codeunits(work.images.column("image_id"), 0, ID_DIGITS)
        numbers = np.array([int(head, 16) for head in heads.to_pylist()], dtype=np.int64)
        parts = numbers * self.parts >> 4 * ID_DIGITS
        return work.only(parts[work.rows[:, 0]] == self.part)

    def of_pairs(self, pairs: PositionPairs, keys: LineKeys) -> PositionPairs:
        """The pairs whose lower end lies in our part of the line."""
        if self.parts == 1:
            return pairs
        return part_of(pairs, keys, part=self.part, parts=self.parts)


WHOLE = Share()


def find_share(given: str, environment: Mapping[str, str] = os.environ) -> Share:
    """Our share: `K/N` as given, or what a scheduler's environment says, or all of it.

    Args:
        given: "3/8" for the third of eight parts, "all", or "auto" for the environment.
        environment: where the rank variables are looked up.

    Raises:
        InputError: it is none of these, or K is not in 1..N.
    """
    if given == "all":
        return WHOLE
    if given == "auto":
        for rank, count in RANK_VARIABLES:
            if rank in environment and environment.get(count, "").isdigit():
                return _checked(int(environment[rank]), int(environment[count]), where=rank)
        return WHOLE
    found = re.fullmatch(r"(\d+)/(\d+)", given)
    if not found:
        raise InputError(
            f"{given!r} is no share", where="--share", fix="say --share 3/8, auto or all"
        )
    return _checked(int(found[1]) - 1, int(found[2]), where="--share")


def _checked(part: int, parts: int, *, where: str) -> Share:
    if not 0 <= part < parts:
        raise InputError(
            f"there is no part {part + 1} of {parts}",
            where=where,
            fix="parts are counted from 1/N to N/N, ranks from 0 to N - 1",
        )
    return Share(part, parts)

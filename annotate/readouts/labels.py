"""Which opinions a readout is fitted to and judged by: the same ones as in `train run`."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotate.readouts.readout import FloatArray, LabelSource, label_source
from data_store.layout import Store
from data_store.queries import human_scores
from data_store.splits import TEST_FRACTION, held_out, labelled_subset
from schemas.errors import InputError, NotEnoughData

FEWEST_LABELS = 8

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Which images with MOS are learnt from, and which are held out."""

    fraction: float = 1.0
    """Share of the images with MOS that are not held out, in (0, 1]."""
    seed: int = 0
    """Of the order in which they are taken; `seed` of the trainer."""
    split_seed: int = 0
    """Of the split; `split.seed` of the trainer."""
    test_fraction: float = TEST_FRACTION
    """Share of the groups that is held out, in [0, 1)."""

    def check(self) -> None:
        """Make sure that the shares are shares. Raises InputError."""
        if not 0 < self.fraction <= 1:
            raise InputError(
                f"{self.fraction:g} is no share of the labels",
                where="--label-fraction",
                fix="give a number above 0 and up to 1",
            )
        if not 0 <= self.test_fraction < 1:
            raise InputError(
                f"{self.test_fraction:g} is no share of the groups to hold out",
                where="--test-fraction",
                fix="give a number from 0 to below 1",
            )


@dataclass(frozen=True, slots=True)
class RatedImages:
    """M images with MOS, ordered by id."""

    image_ids: pa.Array
    """(M,) string, ascending."""
    groups: IntArray
    """(M,) a number per group."""
    mos: FloatArray
    """(M,) in [0, 1], mean over the sources."""
    labelled: BoolArray
    """(M,) True for those that are learnt from."""
    tested: BoolArray
    """(M,) True for those that are held out; the rest is neither."""

    def among(self, image_ids: pa.Array) -> "RatedImages":
        """Those that are among other ids, too."""
        known = pc.is_in(self.image_ids, value_set=image_ids)
        kept: BoolArray = known.to_numpy(zero_copy_only=False)
        return RatedImages(
            self.image_ids.filter(known),
            self.groups[kept],
            self.mos[kept],
            self.labelled[kept],
            self.tested[kept],
        )

    def source(self, choice: LabelChoice) -> LabelSource:
        """The record of what is learnt from."""
        ids = self.image_ids.filter(pa.array(self.labelled)).to_pylist()
        return label_source(ids, self.mos[self.labelled], **asdict(choice))


def rated_images(store: Store, choice: LabelChoice) -> RatedImages:
    """Read all MOS, and divide the images as the trainer does.

    Raises:
        NotEnoughData: no image has a MOS.
    """
    human = human_scores(store).sort_by("image_id")
    if not human.num_rows:
        raise NotEnoughData(
            "no image has a MOS", where=store.address, fix="add opinions with `store add-mos`"
        )
    ids = human.column("image_id").combine_chunks()
    group_ids = human.column("group_id").combine_chunks()
    tested = held_out(group_ids, seed=choice.split_seed, test_fraction=choice.test_fraction)
    labelled = np.zeros(len(ids), dtype=np.bool_)
    rows = np.flatnonzero(~tested)
    labelled[labelled_subset(rows, ids, fraction=choice.fraction, seed=choice.seed)] = True
    groups = pc.index_in(group_ids, value_set=pc.unique(group_ids)).to_numpy().astype(np.int64)
    mos = human.column("mos_unit").to_numpy().astype(np.float64)
    return RatedImages(ids, groups, mos, labelled, tested)


def require_opinions(mos: FloatArray, *, where: str) -> None:
    """Refuse opinions, (R,), from which nothing can be learnt.

    Raises:
        NotEnoughData: there are fewer than `FEWEST_LABELS`, or all are the same.
    """
    if len(mos) < FEWEST_LABELS:
        raise NotEnoughData(
            f"{len(mos)} labelled images have what the readout reads, and it takes {FEWEST_LABELS}",
            where=where,
            fix="add opinions with `store add-mos`, have the teacher answer about more of the"
            " images with MOS, or raise --label-fraction",
        )
    if np.ptp(mos) <= 1e-9:
        raise NotEnoughData(
            f"all {len(mos)} labelled images have the same MOS, {mos[0]:g}",
            where=where,
            fix="add opinions of images of other quality with `store add-mos`",
        )

"""Which images are learnt from and which are held out: as for readouts and in `train run`."""

from dataclasses import dataclass
from itertools import compress

from annotate.image_stream import StoredImage
from annotate.readouts.labels import BoolArray, LabelChoice, rated_images, require_opinions
from annotate.readouts.readout import FloatArray, LabelSource
from annotate.tuning.settings import TuneSettings
from data_store import queries
from data_store.layout import Store
from schemas.ids import id_of


@dataclass(frozen=True, slots=True)
class RatedPictures:
    """Images with opinions, in the order of their ids."""

    images: tuple[StoredImage, ...]
    """(R,)."""
    mos: FloatArray
    """(R,) in [0, 1]."""

    def __len__(self) -> int:
        """R."""
        return len(self.images)

    @property
    def content_hash(self) -> str:
        """SHA-256 of ids and MOS, hex; paths do not count."""
        return id_of([[image.image_id for image in self.images], self.mos.tolist()])


@dataclass(frozen=True, slots=True)
class TuningData:
    """What is learnt from, what it is measured on, and the record of both."""

    labelled: RatedPictures
    held_out: RatedPictures
    source: LabelSource

    def content_hashes(self) -> dict[str, str]:
        """Hash of each part, to see later which of them changed."""
        return {
            "labelled images": self.labelled.content_hash,
            "held-out images": self.held_out.content_hash,
        }


def read_tuning_data(store: Store, settings: TuneSettings) -> TuningData:
    """Read all opinions and divide them as readouts and the trainer do.

    Raises:
        NotEnoughData: there are too few to learn from, or all are the same.
    """
    choice = LabelChoice(
        settings.label_fraction, settings.seed, settings.split_seed, settings.test_fraction
    )
    rated = rated_images(store, choice)
    require_opinions(rated.mos[rated.labelled], where=store.address)
    human = queries.human_scores(store)
    paths = dict(zip(human["image_id"].to_pylist(), human["path"].to_pylist(), strict=True))
    images = [StoredImage(one, paths[one]) for one in rated.image_ids.to_pylist()]

    def those(wanted: BoolArray) -> RatedPictures:
        return RatedPictures(tuple(compress(images, wanted)), rated.mos[wanted])

    return TuningData(those(rated.labelled), those(rated.tested), rated.source(choice))

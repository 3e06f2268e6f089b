"""Photographs that lie inside the installed scikit-image and scikit-learn packages.

They are opened as files and never through `skimage.data`, whose functions download what a
package does not hold.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from schemas.errors import InputError


class PackagedPhotograph(NamedTuple):
    """One file of an installed package."""

    package: str
    file: str
    shrink: float
    """Factor by which each side is divided at least, for the softness of the scan."""

    @property
    def name(self) -> str:
        """Name of the group that all crops of this photograph share."""
        return Path(self.file).stem


PACKAGED_PHOTOGRAPHS = (
    PackagedPhotograph("skimage", "data/astronaut.png", 1.0),
    PackagedPhotograph("skimage", "data/brick.png", 1.0),
    PackagedPhotograph("skimage", "data/camera.png", 1.0),
    PackagedPhotograph("skimage", "data/chelsea.png", 1.0),
    PackagedPhotograph("skimage", "data/coffee.png", 1.2),
    PackagedPhotograph("skimage", "data/coins.png", 1.0),
    PackagedPhotograph("skimage", "data/grass.png", 1.0),
    PackagedPhotograph("skimage", "data/gravel.png", 1.0),
    PackagedPhotograph("skimage", "data/hubble_deep_field.jpg", 1.5),
    PackagedPhotograph("skimage", "data/ihc.png", 1.5),
    PackagedPhotograph("skimage", "data/moon.png", 2.5),
    PackagedPhotograph("skimage", "data/motorcycle_left.png", 1.2),
    PackagedPhotograph("skimage", "data/retina.jpg", 4.0),
    PackagedPhotograph("skimage", "data/rocket.jpg", 1.2),
    PackagedPhotograph("sklearn", "datasets/images/china.jpg", 1.0),
    PackagedPhotograph("sklearn", "datasets/images/flower.jpg", 1.0),
)
"""Left out: drawings, tiny pictures, second views, and clock_motion (it is blurred)."""


def open_packaged(photograph: PackagedPhotograph) -> Image.Image:
    """Open a packaged photograph as RGB.

    Raises:
        InputError: the package or the file in it is missing.
    """
    spec = find_spec(photograph.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / photograph.file if folders else Path(photograph.file)
    if not path.is_file():
        raise InputError(
            f"the photograph is not in the installed package {photograph.package}",
            where=path,
            fix="install scikit-image and scikit-learn: pip install -e '.[dev]'",
        )
    with Image.open(path) as opened:
        return opened.convert("RGB")

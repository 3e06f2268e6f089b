"""How an image becomes tokens: what the processors are told, and how many tokens come of it.

InternVL cuts an image into square tiles, at most `max_tiles`, and adds a thumbnail of the whole
where there are two or more; each costs the same number of tokens. Qwen3-VL scales an image to
whole cells of 32 x 32 pixels, one token each; there the tile limit is a budget of pixels, that of
as many tiles of 448 x 448, so that one number means about the same detail for both. Either way
both images of a pair have the same limit (METHOD 4.5), and the limit is part of the teacher's
identity.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TILED = "InternVLForConditionalGeneration"
SCALED = "Qwen3VLForConditionalGeneration"
SUPPORTED = (TILED, SCALED)
"""Architectures that can be asked, by the name in a checkpoint's config.json."""

TILE_PX = 448
TILE_TOKENS = 256
CELL_PX = 32
LEAST_PIXELS = 256 * 256  # Qwen3-VL's published lower bound; smaller images are enlarged to it
LONGEST_ASPECT = 200  # beyond it the processor of Qwen3-VL refuses an image


def processor_kwargs(architecture: str, max_tiles: int) -> dict[str, Any]:
    """What the checkpoint's processor is called with, in transformers and through vLLM alike.

    Raises:
        KeyError: the architecture is not one of `SUPPORTED`.
    """
    if architecture == TILED:
        return {"crop_to_patches": max_tiles > 1, "max_patches": max_tiles}
    if architecture == SCALED:
        return {"size": {"shortest_edge": LEAST_PIXELS, "longest_edge": _budget(max_tiles)}}
    raise KeyError(architecture)


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """The arithmetic of one checkpoint at one tile limit."""

    architecture: str
    max_tiles: int
    side_px: int
    """Side of a tile (InternVL) or of a cell (Qwen3-VL)."""
    tokens_per_tile: int = 1
    """Tokens of a tile or of a cell."""

    @classmethod
    def of_config(cls, config: Mapping[str, Any], max_tiles: int) -> "ImageTokens":
        """From a checkpoint's config.json.

        Raises:
            KeyError: the architecture is not one of `SUPPORTED`, or a field is missing.
        """
        architecture, vision = config["architectures"][0], config["vision_config"]
        if architecture == TILED:
            side_px = vision["image_size"][0]
            return cls(TILED, max_tiles, side_px, int(config["image_seq_length"]))
        if architecture == SCALED:
            return cls(SCALED, max_tiles, vision["patch_size"] * vision["spatial_merge_size"])
        raise KeyError(architecture)

    @classmethod
    def published(cls, architecture: str, max_tiles: int) -> "ImageTokens":
        """As in all published checkpoints of an architecture."""
        if architecture == TILED:
            return cls(TILED, max_tiles, TILE_PX, TILE_TOKENS)
        return cls(SCALED, max_tiles, CELL_PX)

    def per_image(self, width: int, height: int) -> int:
        """Image tokens of one image of this size; marks around it are not counted."""
        shown_width, shown_height = self.shown_size(width, height)
        tiles = shown_width * shown_height // self.side_px**2
        thumbnail = 1 if self.architecture == TILED and tiles > 1 else 0
        return (tiles + thumbnail) * self.tokens_per_tile

    def most(self) -> int:
        """Image tokens of the image that has most of them."""
        if self.architecture == TILED:
            return (self.max_tiles + (self.max_tiles > 1)) * self.tokens_per_tile
        budget = _budget(self.max_tiles)
        # A strip is never thinner than one cell, and so may go beyond the budget in its length.
        strip = math.isqrt(LONGEST_ASPECT * budget) // self.side_px
        return max(budget // self.side_px**2, strip)

    def shown_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in pixels that an image of this size is scaled to for the model."""
        if self.architecture == TILED:
            columns, rows = self._grid(width, height)
            return columns * self.side_px, rows * self.side_px
        return self._scaled(width, height)

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """The grid of tiles whose shape is nearest the image's, as the processor chooses it.

        Of equally near ones a larger is taken only where the image fills more than half of it.
        """
        limit = range(1, self.max_tiles + 1)
        grids = [(columns, rows) for columns in limit for rows in limit]
        fitting = [grid for grid in grids if math.prod(grid) <= self.max_tiles]
        best, least = (1, 1), math.inf
        for grid in sorted(fitting, key=math.prod):
            difference = abs(width / height - grid[0] / grid[1])
            fills_half = width * height > 0.5 * self.side_px**2 * math.prod(grid)
            if difference < least or (difference == least and fills_half):
                best, least = grid, difference
        return best

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Whole cells near the image's own size, within the least and the most pixels."""
        side, most = self.side_px, _budget(self.max_tiles)
        shown = (round(width / side) * side, round(height / side) * side)
        if math.prod(shown) > most:
            # Divided in the processor's order: squares meet the budget exactly, and rounding tells.
            shrink = math.sqrt(width * height / most)
            return (
                max(side, math.floor(width / shrink / side) * side),
                max(side, math.floor(height / shrink / side) * side),
            )
        if math.prod(shown) < LEAST_PIXELS:
            grow = math.sqrt(LEAST_PIXELS / (width * height))
            return (
                math.ceil(width * grow / side) * side,
                math.ceil(height * grow / side) * side,
            )
        return shown


def _budget(max_tiles: int) -> int:
    """Pixels that Qwen3-VL may see of one image."""
    return max_tiles * TILE_PX**2

"""Teachers by name: which checkpoint, at which commit, run how, and how much memory they take.

The parameter counts are those of the published hyper-parameters, counted on models without
storage (a test counts them again). Those of InternVL3.5 1B and 8B are also the counts of the
published checkpoints, and the others round to the table of the model cards
(OpenGVLab/InternVL3_5-8B-HF; Qwen/Qwen3-VL-8B-Instruct).
"""

from dataclasses import dataclass
from typing import Literal

from annotate.teachers.image_tokens import SCALED, TILED, ImageTokens

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number, by dtype."""
GIB = 1 << 30
QUESTION_TOKENS = 128
"""More than the words of any shipped prompt and the chat template around them."""
WORKING_GIB = 2.0
"""Rule of thumb for what is neither weights nor KV cache: activations, CUDA graphs, buffers."""
ENGINE_SHARE = 0.9
"""Of a GPU's memory, as `EngineOptions.gpu_memory_share` has it."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """What the KV cache's size follows from."""

    layers: int
    kv_heads: int
    head_size: int = 128

    def cache_bytes_per_token(self, dtype: str) -> int:
        """Bytes that one token takes in the KV cache: a key and a value per layer and head."""
        return 2 * self.layers * self.kv_heads * self.head_size * BYTES[dtype]


@dataclass(frozen=True, slots=True)
class Preset:
    """A teacher people can name, with the settings it is meant to be run with."""

    model: str
    """Hub id, or the name of a folder that ships with this package."""
    architecture: str
    parameters: int
    language_model: LanguageModel
    revision: str = ""
    """Commit of the hub repository; empty where none could be verified: the main branch."""
    dtype: str = "bfloat16"
    max_tiles: int = 4
    # By default InternVL cuts a photograph into up to 12 tiles; 4 keep a pair near 2,600 tokens.
    decoding: Literal["full", "shrunk"] = "shrunk"
    """docs/decisions/0018: full decoding of large photographs would hold a large teacher up."""

    @property
    def is_shipped(self) -> bool:
        """Whether the checkpoint is a folder of this package."""
        return "/" not in self.model

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights in the preset's number format."""
        return self.parameters * BYTES[self.dtype]

    def image_tokens(self, max_tiles: int | None = None) -> ImageTokens:
        """Tokens of an image, at the preset's tile limit or at another."""
        tiles = max_tiles or self.max_tiles
        if self.is_shipped:
            return ImageTokens(self.architecture, tiles, side_px=112, tokens_per_tile=16)
        return ImageTokens.published(self.architecture, tiles)

    def pair_tokens(self, max_tiles: int | None = None) -> int:
        """Tokens of the longest pair question, words included."""
        return 2 * self.image_tokens(max_tiles).most() + QUESTION_TOKENS

    def gpu_bytes(self, questions: int, max_tiles: int | None = None) -> int:
        """GPU memory for the weights and so many of the longest pair questions at a time."""
        cache = questions * self.pair_tokens(max_tiles)
        cache *= self.language_model.cache_bytes_per_token(self.dtype)
        return round((self.weight_bytes + cache + WORKING_GIB * GIB) / ENGINE_SHARE)


# The commits were read in public projects that pin these repositories, not on the hub itself; each
# is named by several of them, that of 38B by one. For 30B-A3B there was none.
PRESETS = {
    "internvl3.5-1b": Preset(
        "OpenGVLab/InternVL3_5-1B-HF",
        TILED,
        1_060_897_792,
        LanguageModel(layers=28, kv_heads=8),
        revision="9191dbccf312b537016f041b25d61c72e7c5c9f3",
    ),
    "internvl3.5-2b": Preset(
        "OpenGVLab/InternVL3_5-2B-HF",
        TILED,
        2_348_347_392,
        LanguageModel(layers=28, kv_heads=8),
        revision="3f301ffcf3dcbb47893afae6650ea3e78d96fb6d",
    ),
    "internvl3.5-4b": Preset(
        "OpenGVLab/InternVL3_5-4B-HF",
        TILED,
        4_732_489_216,
        LanguageModel(layers=36, kv_heads=8),
        revision="6bd4487402110ef9889ba50eb7aefeb302526fed",
    ),
    "internvl3.5-8b": Preset(
        "OpenGVLab/InternVL3_5-8B-HF",
        TILED,
        8_528_318_464,
        LanguageModel(layers=36, kv_heads=8),
        revision="741a7d03020411e666c6109218ab71e08151ef86",
    ),
    "internvl3.5-14b": Preset(
        "OpenGVLab/InternVL3_5-14B-HF",
        TILED,
        15_119_523_840,
        LanguageModel(layers=40, kv_heads=8),
        revision="226b96d5912e69159abc0384cefcbd51487fdce0",
    ),
    "internvl3.5-38b": Preset(
        "OpenGVLab/InternVL3_5-38B-HF",
        TILED,
        38_390_405_504,
        LanguageModel(layers=64, kv_heads=8),
        revision="7c830fc25e874f9a861087e3c70587f2b9b555f3",
    ),
    "internvl3.5-30b-a3b": Preset(
        "OpenGVLab/InternVL3_5-30B-A3B-HF",
        TILED,
        30_848_730_112,
        LanguageModel(layers=48, kv_heads=4),
    ),
    "qwen3-vl-4b": Preset(
        "Qwen/Qwen3-VL-4B-Instruct",
        SCALED,
        4_437_815_808,
        LanguageModel(layers=36, kv_heads=8),
        revision="ebb281ec70b05090aa6165b016eac8ec08e71b17",
    ),
    "qwen3-vl-8b": Preset(
        "Qwen/Qwen3-VL-8B-Instruct",
        SCALED,
        8_767_123_696,
        LanguageModel(layers=36, kv_heads=8),
        revision="0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
    ),
    "qwen3-vl-32b": Preset(
        "Qwen/Qwen3-VL-32B-Instruct",
        SCALED,
        33_357_390_064,
        LanguageModel(layers=64, kv_heads=8),
        revision="0cfaf48183f594c314753d30a4c4974bc75f3ccb",
    ),
    "tiny": Preset(
        "tiny_teacher",
        TILED,
        1_470_144,
        LanguageModel(layers=3, kv_heads=2, head_size=32),
        dtype="float32",
        max_tiles=1,
        decoding="full",
    ),
}

"""Make a wide teacher with random weights: for measuring speed, never for judging.

    python -m tools.make_wide_teacher --out /tmp/wide --as 8b

The tiny teacher's tokenizer and chat template, but 256 tokens an image, as one tile of InternVL3.5
has, and a language model of 24 million weights: so a question costs what it costs a real one, in
proportion, and a prefix that is cached is worth something. The vision tower is drawn in proportion
too: all sizes of InternVL3.5 up to 14B share one of .3 billion weights, which is a sixth of the
work for a large language model and most of it for a small one.
"""

import argparse
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

IMAGE_PX = 224
PATCH_PX = 7
IMAGE_TOKENS = (IMAGE_PX // PATCH_PX // 2) ** 2
WIDTH = 512


class VisionShape(NamedTuple):
    """Of a vision tower over 1,024 patches."""

    width: int
    layers: int
    heads: int


VISION = {"8b": VisionShape(160, 2, 5), "1b": VisionShape(448, 5, 7)}
"""Multiplications of the tower over those of the language model for one image's 256 tokens, real
and here: 8B .20 and .21, 1B 3.2 and 2.7 (weights without the embedding times tokens, and the
attention of 1,025 patches in 24 layers of 1,024)."""


def make_wide_teacher(out: Path, *, size: str = "8b", seed: int = 0) -> int:
    """Write the checkpoint in float32; returns the weights of its language model."""
    tiny = Path(str(resources.files("annotate"))) / "tiny_teacher"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny)
    shown = InternVLProcessor.from_pretrained(tiny)
    side = {"height": IMAGE_PX, "width": IMAGE_PX}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            size=side, crop_to_patches=False, min_patches=1, max_patches=1
        ),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=side),
        image_seq_length=IMAGE_TOKENS,
        chat_template=shown.chat_template,
    )
    torch.manual_seed(seed)
    config = _config(tokenizer, shown.image_token_id, VISION[size])
    model = InternVLForConditionalGeneration(config).float()
    model.eval().save_pretrained(out, safe_serialization=True)
    processor.save_pretrained(out)
    return sum(weights.numel() for weights in model.model.language_model.parameters())


def _config(
    tokenizer: PreTrainedTokenizerFast, image_token_id: int, shape: VisionShape
) -> InternVLConfig:
    vision = InternVLVisionConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        image_size=[IMAGE_PX, IMAGE_PX],
        patch_size=[PATCH_PX, PATCH_PX],
    )
    text = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return InternVLConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_id=image_token_id,
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=True,
    )


def main() -> None:
    """Parse the command line and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--as", dest="size", choices=sorted(VISION), default="8b")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count = make_wide_teacher(options.out, size=options.size, seed=options.seed)
    print(f"{options.out}: {count / 1e6:.1f} million weights in the language model")


if __name__ == "__main__":
    main()

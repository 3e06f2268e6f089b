"""Make a wide teacher with random weights: for measuring speed, never for judging.

    python -m tools.make_wide_teacher --out /tmp/wide

The tiny teacher's tokenizer and chat template, but 256 tokens an image, as one tile of InternVL3.5
has, and a language model of 25 million weights: so a question costs what it costs a real one, in
proportion, and a prefix that is cached is worth something.
"""

import argparse
from importlib import resources
from pathlib import Path

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


def make_wide_teacher(out: Path, *, seed: int = 0) -> int:
    """Write the checkpoint in float32; returns the weights of its language model."""
    tiny = Path(str(resources.files("annotate"))) / "tiny_teacher"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny)
    shown = InternVLProcessor.from_pretrained(tiny)
    size = {"height": IMAGE_PX, "width": IMAGE_PX}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            size=size, crop_to_patches=False, min_patches=1, max_patches=1
        ),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=IMAGE_TOKENS,
        chat_template=shown.chat_template,
    )
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(_config(tokenizer, shown.image_token_id)).float()
    model.eval().save_pretrained(out, safe_serialization=True)
    processor.save_pretrained(out)
    return sum(weights.numel() for weights in model.model.language_model.parameters())


def _config(tokenizer: PreTrainedTokenizerFast, image_token_id: int) -> InternVLConfig:
    vision = InternVLVisionConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
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
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count = make_wide_teacher(options.out, seed=options.seed)
    print(f"{options.out}: {count / 1e6:.1f} million weights in the language model")


if __name__ == "__main__":
    main()

"""The tiny teacher's sizes, its processor and its initial weights.

A real InternVL in the layout of the `-HF` checkpoints, only small: patches of 14 px, four
vision layers, pixel shuffle to 16 tokens an image, three Qwen3 layers.
"""

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

from tools.crops import CROP_PX
from tools.tiny_teacher.tokenizer import IMAGE_TOKEN
from train.dct_init import luminance_dct_filters, magnitude_rows

PATCH_PX = 14
WIDTH = 128
IMAGE_TOKENS = (CROP_PX // PATCH_PX // 2) ** 2
"""Tokens an image takes in the prompt, after pixel shuffle joined 2 x 2 patches."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

HIGH_FREQUENCY_GAIN = 8.0
"""Boost of the highest DCT coefficient; natural images fall off as 1/f."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == "image" -%}
{{ "<IMG_CONTEXT>\\n" }}
{%- elif part.type == "text" -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ "<|im_end|>\\n" }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ "<|im_start|>assistant\\n" }}
{%- if enable_thinking is defined and enable_thinking -%}
{{ "<think>\\n" }}
{%- endif -%}
{%- endif -%}
"""


def make_processor(tokenizer: PreTrainedTokenizerFast) -> InternVLProcessor:
    """Processor that shows an image as one tile of `CROP_PX` and never cuts it up."""
    size = {"height": CROP_PX, "width": CROP_PX}
    pixels = {"size": size, "image_mean": list(IMAGENET_MEAN), "image_std": list(IMAGENET_STD)}
    image_processor = GotOcr2ImageProcessor(
        **pixels, crop_to_patches=False, min_patches=1, max_patches=1
    )
    return InternVLProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(**pixels),
        image_seq_length=IMAGE_TOKENS,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(
    tokenizer: PreTrainedTokenizerFast, generator: torch.Generator
) -> InternVLForConditionalGeneration:
    """Model with random weights and a vision tower that begins as a spectrum analyser.

    Args:
        tokenizer: gives the vocabulary's size and the special tokens.
        generator: draws what the spectrum analyser leaves to chance; the other weights come
            from torch's global generator.
    """
    model = InternVLForConditionalGeneration(make_config(tokenizer))
    tower = model.model.vision_tower
    patches = tower.embeddings.patch_embeddings.projection
    first = tower.encoder.layer[0].mlp.fc1
    with torch.no_grad():
        patches.weight.copy_(
            luminance_dct_filters(PATCH_PX, WIDTH, high_frequency_gain=HIGH_FREQUENCY_GAIN)
        )
        patches.bias.zero_()
        first.weight.copy_(magnitude_rows(*first.weight.shape, gain=2.0, generator=generator))
    return model


def make_config(tokenizer: PreTrainedTokenizerFast) -> InternVLConfig:
    """Sizes of all three parts, about 1.5 million weights together."""
    vision = InternVLVisionConfig(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        attention_bias=True,
        image_size=[CROP_PX, CROP_PX],
        patch_size=[PATCH_PX, PATCH_PX],
        layer_scale_init_value=1.0,
    )
    text = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return InternVLConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=True,
    )

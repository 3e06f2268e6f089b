"""A Qwen3-VL checkpoint of 0.8 million random parameters, with the tiny teacher's tokenizer.

Its weights mean nothing. It has what the published ones have: deepstack, interleaved
multi-dimensional rotary positions, marks around images, a template that closes an empty thought.
"""

import json
import shutil
from importlib import resources
from pathlib import Path

TINY = Path(str(resources.files("annotate"))) / "tiny_teacher"
RENAMED = {
    "<img>": "<|vision_start|>",
    "</img>": "<|vision_end|>",
    "<IMG_CONTEXT>": "<|image_pad|>",
    "<video>": "<|video_pad|>",
}
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == "image" -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- else -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{{ "<|im_end|>\\n" }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ "<|im_start|>assistant\\n" }}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{ "<think>\\n\\n</think>\\n\\n" }}
{%- endif -%}
{%- endif -%}
"""


def make_tiny_qwen(folder: Path, *, seed: int = 0) -> Path:
    """Write the checkpoint in the layout of transformers and return its folder."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    folder.mkdir(parents=True)
    _write_processor(folder)
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": 512,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "initializer_range": 0.2,  # so that answers differ by more than rounding
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "eos_token_id": 502,
            "pad_token_id": 500,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": 128,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.1,
        },
        vision_start_token_id=503,
        vision_end_token_id=504,
        image_token_id=505,
        video_token_id=506,
        tie_word_embeddings=False,
    )
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def _write_processor(folder: Path) -> None:
    tokenizer = (TINY / "tokenizer.json").read_text(encoding="utf-8")
    for old, new in RENAMED.items():
        tokenizer = tokenizer.replace(json.dumps(old), json.dumps(new))
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    parts = {
        "tokenizer_config.json": {
            "tokenizer_class": "TokenizersBackend",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 4096,
        },
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen3VLProcessor",
            "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216},
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        "video_preprocessor_config.json": {
            "video_processor_type": "Qwen3VLVideoProcessor",
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
        },
    }
    for name, part in parts.items():
        (folder / name).write_text(json.dumps(part), encoding="utf-8")
    shutil.copy(TINY / "generation_config.json", folder)

"""The list of teachers: counted parameters, and tokens as the processors themselves count them."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annotate.commands.models import models
from annotate.teachers.image_tokens import SCALED, TILED, ImageTokens, processor_kwargs
from annotate.teachers.presets import PRESETS

SIDE = st.integers(1, 6000)
TILES = st.integers(1, 12)


@settings(deadline=None)  # the first example imports transformers
@given(SIDE, SIDE, TILES)
@example(640, 480, 4)
@example(896, 448, 2)
def test_internvls_tiles_are_those_of_its_processor(width, height, max_tiles):
    from transformers import GotOcr2ImageProcessor
    from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

    rule = ImageTokens.published(TILED, max_tiles)
    grid = get_optimal_tiled_canvas((height, width), (448, 448), 1, max_tiles)
    assert rule.shown_size(width, height) == (grid[0] * 448, grid[1] * 448)
    processor = GotOcr2ImageProcessor(size={"height": 448, "width": 448})
    tiles = processor.get_number_of_image_patches(height, width, processor_kwargs(TILED, max_tiles))
    assert rule.per_image(width, height) == 256 * tiles <= rule.most()


@settings(deadline=None)  # the first example imports transformers
@given(SIDE, SIDE, TILES)
@example(4075, 4075, 1)  # the budget is met exactly
@example(32, 6400, 1)  # a strip as thin as a cell
def test_qwens_cells_are_those_of_its_processor(width, height, max_tiles):
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    if max(width, height) > 200 * min(width, height):
        return  # the processor refuses such a strip
    rule = ImageTokens.published(SCALED, max_tiles)
    size = processor_kwargs(SCALED, max_tiles)["size"]
    shown_height, shown_width = smart_resize(
        height, width, 32, size["shortest_edge"], size["longest_edge"]
    )
    assert rule.shown_size(width, height) == (shown_width, shown_height)
    assert rule.per_image(width, height) == shown_width * shown_height // 1024 <= rule.most()


def test_an_architecture_that_cannot_be_asked_has_no_rule():
    with pytest.raises(KeyError, match="LlavaForConditionalGeneration"):
        processor_kwargs("LlavaForConditionalGeneration", 4)


# Hyper-parameters as published: hidden, MLP, layers, heads, key-value heads of the Qwen3 language
# model; InternViT-300M and -6B; the vision towers of Qwen3-VL.
QWEN3 = {
    "0.6b": (1024, 3072, 28, 16, 8),
    "1.7b": (2048, 6144, 28, 16, 8),
    "4b": (2560, 9728, 36, 32, 8),
    "8b": (4096, 12288, 36, 32, 8),
    "14b": (5120, 17408, 40, 40, 8),
    "32b": (5120, 25600, 64, 64, 8),
    "30b-a3b": (2048, 6144, 48, 32, 4),
}
INTERNVL = {"1b": "0.6b", "2b": "1.7b", "38b": "32b"}
INTERN_VIT_6B = {
    "hidden_size": 3200,
    "intermediate_size": 12800,
    "num_hidden_layers": 45,
    "num_attention_heads": 25,
    "attention_bias": False,
    "use_qk_norm": True,
    "norm_type": "rms_norm",
}
QWEN_VISION = {
    "4b": {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "out_hidden_size": 2560},
    "8b": {"out_hidden_size": 4096},
    "32b": {"out_hidden_size": 5120},
}


def language_model(size: str, **more: object) -> dict[str, object]:
    hidden, mlp, layers, heads, kv_heads = QWEN3[size]
    return {
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 128,
        "vocab_size": 151_936,
        "tie_word_embeddings": False,
        **more,
    }


def internvl(size: str):
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    text = language_model(INTERNVL.get(size, size), model_type="qwen3")
    if size == "30b-a3b":
        text |= {
            "model_type": "qwen3_moe",
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 768,
        }
    vision = INTERN_VIT_6B if size == "38b" else {"attention_bias": True}
    return InternVLForConditionalGeneration(
        InternVLConfig(
            text_config=text,
            vision_config={"model_type": "internvl_vision", **vision},
            tie_word_embeddings=False,
        )
    )


def qwen3_vl(size: str):
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tied = size == "4b"
    text = language_model(size, tie_word_embeddings=tied)
    model = Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(text_config=text, vision_config=QWEN_VISION[size], tie_word_embeddings=tied)
    )
    model.tie_weights()
    return model


NAMED = [name for name in PRESETS if name != "tiny"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMED)
def test_parameters_are_those_of_the_published_hyper_parameters(name):
    import torch

    family, _, size = name.partition("-")
    with torch.device("meta"):
        model = internvl(size) if family == "internvl3.5" else qwen3_vl(size.removeprefix("vl-"))
    assert sum(one.numel() for one in model.parameters()) == PRESETS[name].parameters
    text, named = model.config.text_config, PRESETS[name].language_model
    shape = (text.num_hidden_layers, text.num_key_value_heads, text.head_dim)
    assert shape == (named.layers, named.kv_heads, named.head_size)
    assert model.config.architectures is None
    assert type(model).__name__ == PRESETS[name].architecture


def test_each_name_is_one_model_and_pins_a_whole_commit_or_none():
    assert len({preset.model for preset in PRESETS.values()}) == len(PRESETS)
    commits = [preset.revision for preset in PRESETS.values() if preset.revision]
    assert len(set(commits)) == len(commits)
    assert all(len(one) == 40 and set(one) <= set("0123456789abcdef") for one in commits)


def test_the_list_is_json_where_a_program_reads_it(capsys):
    models(max_tiles=12, questions=32, as_json=True)
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(PRESETS)
    one = listed["internvl3.5-8b"]
    assert one["tokens_per_image"] == 13 * 256  # twelve tiles and the thumbnail
    assert one["tokens_per_pair"] > 2 * 13 * 256
    assert one["weights_gib"] == pytest.approx(15.89)
    assert one["kv_cache_bytes_per_token"] == 2 * 36 * 8 * 128 * 2
    cache_gib = 32 * one["tokens_per_pair"] * one["kv_cache_bytes_per_token"] / 2**30
    assert one["gpu_gib"] == pytest.approx((15.89 + cache_gib + 2) / 0.9, abs=0.1)


def test_the_list_is_a_table_for_people(capsys):
    models(max_tiles=None, questions=64, as_json=False)
    shown = capsys.readouterr().out
    assert all(name in shown for name in PRESETS)
    assert "OpenGVLab/InternVL3_5-8B-HF" in shown

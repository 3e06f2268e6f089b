"""The shipped checkpoint: what it is made of, and what it knows."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, InternVLProcessor

from annotate.prompts import shipped_prompt
from schemas.scale import logit_expectation
from tools.tiny_teacher.answer_training import answer_logits, level_probs, tower_features
from tools.tiny_teacher.crop_pool import CropPool
from tools.tiny_teacher.judge import Judge, draw_pairs, score_answers
from tools.tiny_teacher.measurement import degraded_crops
from tools.tiny_teacher.photographs import default_photographs, split_photographs
from tools.tiny_teacher.questions import render_question

CHECKPOINT = Path(str(resources.files("annotate"))) / "tiny_teacher"


@pytest.fixture(scope="module")
def teacher() -> Judge:
    return Judge(CHECKPOINT, "transformers")


@pytest.fixture(scope="module")
def processor() -> InternVLProcessor:
    return AutoProcessor.from_pretrained(CHECKPOINT)


def test_the_checkpoint_is_small_and_holds_no_pickle() -> None:
    files = [path for path in CHECKPOINT.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert {path.suffix for path in files} <= {".json", ".jinja", ".md", ".safetensors"}


def test_the_checkpoint_says_that_it_is_internvl_over_qwen3() -> None:
    config = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["InternVLForConditionalGeneration"]
    assert config["text_config"]["model_type"] == "qwen3"
    assert config["dtype"] == "bfloat16"
    assert "auto_map" not in config


def test_labels_are_single_distinct_tokens(teacher: Judge) -> None:
    for question, count in ((teacher.point, 5), (teacher.pair, 2)):
        assert len({token for ids in question.spec.label_token_ids for token in ids}) >= count
        assert all(len(ids) == len(set(ids)) >= 1 for ids in question.spec.label_token_ids)


def test_any_text_survives_the_tokenizer(processor: InternVLProcessor) -> None:
    for text in ("Größe 漢字 №42\n\n\t  end", "<|im_start|>user\n", "\U0001f343 leaf"):
        assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == text


def test_points_and_pairs_begin_alike_up_to_the_first_image(processor: InternVLProcessor) -> None:
    point, pair = (render_question(processor, shipped_prompt(kind)) for kind in ("point", "pair"))
    shared_count = int(point.image_places[-1]) + 1
    assert torch.equal(point.token_ids[:shared_count], pair.token_ids[:shared_count])


def test_training_and_inference_ask_the_same(teacher: Judge, processor: InternVLProcessor) -> None:
    """The trainer's short cut (cached tower, no processor) answers as the processor does."""
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    pool = CropPool(pixels, np.zeros(2, dtype=np.float32), np.arange(2))
    question = render_question(processor, shipped_prompt("pair"))
    with torch.no_grad():
        logits = answer_logits(model, question, tower_features(model, pool)[None])
    short_cut = torch.log_softmax(logits, dim=1)[0, question.label_ids].numpy()
    images = [Image.fromarray(image) for image in pixels]
    asked = teacher.answer(images, np.array([[0, 1]])).pair_logprobs[0, 0]
    np.testing.assert_allclose(short_cut, asked, atol=1e-4)


def test_soft_levels_have_the_quality_as_their_mean() -> None:
    quality = torch.linspace(0, 1, 11)
    probs = level_probs(quality)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(11))
    scores = logit_expectation(np.log(probs.double().numpy() + 1e-30))
    np.testing.assert_allclose(scores, 1 + 4 * quality.numpy(), atol=1e-5)


@pytest.mark.shared
def test_the_teacher_knows_quality_on_unseen_photographs(teacher: Judge) -> None:
    folder = default_photographs()
    if not (folder / "mos.csv").is_file():
        pytest.skip(f"no rated photographs in {folder}; set LEAF_SHARED")
    images, quality = degraded_crops(split_photographs(folder).held_out, crops_each=2)
    pairs = draw_pairs(len(images), len(images), np.random.default_rng(0))
    measured = score_answers(teacher.answer(images, pairs), quality, pairs)
    assert measured["point_srcc"] >= 0.80
    assert measured["pair_accuracy"] >= 0.87
    assert measured["swap_consistency"] >= 0.90
    assert measured["level_mass_mean"] >= 0.98
    assert measured["pair_mass_mean"] >= 0.98

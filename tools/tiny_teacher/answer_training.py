"""Second stage: projector and language model learn to answer both prompts.

The vision tower is frozen (a high rate on it at this stage destroys what it knows), so its
output is computed once for all crops.
"""

import torch
from torch import Tensor, nn
from transformers import InternVLForConditionalGeneration

from tools.tiny_teacher.crop_pool import CropPool
from tools.tiny_teacher.progress import Progress
from tools.tiny_teacher.questions import Question
from tools.tiny_teacher.vision_pretraining import normalise, one_cycle

POINT_BATCH_SIZE = 32
PAIR_BATCH_SIZE = 16
"""Pairs per step; each is asked in both orders."""

PEAK_RATE = 1e-3
WEIGHT_DECAY = 0.01
PREFERENCE_TEMPERATURE = 0.05
"""Difference of known quality at which the better image is preferred with odds e : 1."""


def train_answers(
    model: InternVLForConditionalGeneration,
    pool: CropPool,
    questions: tuple[Question, Question],
    *,
    steps: int,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train everything but the vision tower on the point and the pair prompt.

    Args:
        model: changed in place.
        pool: crops to ask about.
        questions: the point and the pair prompt, rendered.
        steps: optimiser steps.
        generator: draws the batches.
        progress: hears the loss.
    """
    point, pair = questions
    features = tower_features(model, pool)
    quality = torch.from_numpy(pool.quality)
    model.requires_grad_(requires_grad=True)
    model.model.vision_tower.requires_grad_(requires_grad=False)
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps))
    for step in range(steps):
        rows = torch.randint(len(quality), (POINT_BATCH_SIZE,), generator=generator)
        logits = answer_logits(model, point, features[rows][:, None])
        point_loss = answer_loss(logits, point.label_ids, level_probs(quality[rows]))
        couples = torch.randint(len(quality), (PAIR_BATCH_SIZE, 2), generator=generator)
        couples = torch.cat([couples, couples.flip(1)])
        logits = answer_logits(model, pair, features[couples])
        pair_loss = answer_loss(logits, pair.label_ids, preference_probs(quality[couples]))
        optimizer.zero_grad()
        (point_loss + pair_loss).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.report(step, (point_loss + pair_loss).item())
    model.eval()


def tower_features(model: InternVLForConditionalGeneration, pool: CropPool) -> Tensor:
    """Output of the frozen tower, joined 2 x 2, before the projector.

    Returns:
        (N, image tokens, 4 * vision width) float32.
    """
    parts = []
    with torch.no_grad():
        for start in range(0, len(pool.pixels), 128):
            pixels = normalise(pool.pixels[start : start + 128])
            patches = model.model.vision_tower(pixels).last_hidden_state[:, 1:]
            side = round(patches.shape[1] ** 0.5)
            grid = patches.unflatten(1, (side, side))
            joined = model.model.pixel_shuffle(grid, scale_factor=model.config.downsample_ratio)
            parts.append(joined.flatten(1, 2))
    return torch.cat(parts)


def answer_logits(
    model: InternVLForConditionalGeneration, question: Question, features: Tensor
) -> Tensor:
    """Logits of the next token after the question.

    Args:
        model: gives projector and language model.
        question: T tokens that show I images.
        features: (B, I, image tokens, 4 * vision width), from `tower_features`.

    Returns:
        (B, vocabulary) float32.
    """
    images = model.model.multi_modal_projector(features)
    embeds = model.get_input_embeddings()(question.token_ids).repeat(len(images), 1, 1)
    embeds[:, question.image_places] = images.flatten(1, 2)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    logits: Tensor = model.lm_head(hidden[:, -1])
    return logits


def answer_loss(logits: Tensor, label_ids: Tensor, label_probs: Tensor) -> Tensor:
    """Cross-entropy over the whole vocabulary, so that all mass moves to the labels.

    Args:
        logits: (B, vocabulary).
        label_ids: (K,) tokens of the labels.
        label_probs: (B, K) wanted probabilities, rows sum to 1.
    """
    logprobs = torch.log_softmax(logits, dim=1)[:, label_ids]
    return -(label_probs * logprobs).sum(dim=1).mean()


def level_probs(quality: Tensor) -> Tensor:
    """Soft label over five levels, worst first, whose mean level is 1 + 4 quality.

    Args:
        quality: (B,) in [0, 1].

    Returns:
        (B, 5): the two levels beside the quality share the probability.
    """
    position = 4.0 * quality[:, None]
    return (1.0 - (position - torch.arange(5)).abs()).clamp(min=0.0)


def preference_probs(quality: Tensor) -> Tensor:
    """Soft label over A and B.

    Args:
        quality: (B, 2) known quality of the first and the second image.

    Returns:
        (B, 2): P(A) = 1 / (1 + exp(-(q_1 - q_2) / PREFERENCE_TEMPERATURE)), and the rest.
    """
    prefer_first = torch.sigmoid((quality[:, 0] - quality[:, 1]) / PREFERENCE_TEMPERATURE)
    return torch.stack([prefer_first, 1.0 - prefer_first], dim=1)

"""First stage: the vision tower learns known quality, by regression and pair ranking."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import InternVLVisionModel

from tools.tiny_teacher.architecture import IMAGENET_MEAN, IMAGENET_STD, WIDTH
from tools.tiny_teacher.crop_pool import CropPool
from tools.tiny_teacher.progress import Progress

BATCH_SIZE = 64
PEAK_RATE = 1e-3
WEIGHT_DECAY = 0.05
WARM_UP = 0.15
"""Part of the steps in which the rate rises; it falls to zero in the rest (one cycle)."""

RANK_TEMPERATURE = 0.1
"""Difference of known quality at which the order of a pair is asked for in earnest."""


def pretrain_vision(
    tower: InternVLVisionModel,
    pool: CropPool,
    *,
    steps: int,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train the tower, through a linear head that is thrown away, to tell known quality.

    Args:
        tower: changed in place.
        pool: crops to learn from.
        steps: optimiser steps of `BATCH_SIZE` crops.
        generator: draws the batches.
        progress: hears the loss.
    """
    head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps))
    quality = torch.from_numpy(pool.quality)
    tower.train()
    for step in range(steps):
        rows = torch.randint(len(quality), (BATCH_SIZE,), generator=generator)
        patches = tower(normalise(pool.pixels[rows.numpy()])).last_hidden_state[:, 1:]
        score = head(patches.mean(dim=1)).squeeze(1)
        loss = quality_loss(score, quality[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.report(step, loss.item())
    tower.eval()


def quality_loss(score: Tensor, quality: Tensor) -> Tensor:
    """Smooth L1 on known quality plus a logistic loss on the order of all pairs of the batch.

    Args:
        score: (B,) predicted quality.
        quality: (B,) known quality in [0, 1].
    """
    regression = functional.smooth_l1_loss(score, quality, beta=0.1)
    first, second = torch.triu_indices(len(score), len(score), offset=1)
    difference = quality[first] - quality[second]
    ranking = functional.binary_cross_entropy_with_logits(
        (score[first] - score[second]) / RANK_TEMPERATURE,
        torch.sigmoid(difference / (0.3 * RANK_TEMPERATURE)),
    )
    return regression + 0.5 * ranking


def normalise(pixels: np.ndarray) -> Tensor:
    """What the processor makes of images that already have the tile's size.

    Args:
        pixels: (B, H, W, 3) uint8 array.

    Returns:
        (B, 3, H, W) float32.
    """
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0
    mean = torch.tensor(IMAGENET_MEAN)[:, None, None]
    return (scaled - mean) / torch.tensor(IMAGENET_STD)[:, None, None]


def one_cycle(step: int, steps: int) -> float:
    """Factor on the peak rate: a linear rise, then half a cosine down to zero."""
    warm_up_steps = max(1, round(WARM_UP * steps))
    if step < warm_up_steps:
        return (step + 1) / warm_up_steps
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm_up_steps) / (steps - warm_up_steps)))

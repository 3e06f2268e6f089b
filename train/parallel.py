"""One run in several processes, each with a share of every batch: `torchrun … -m train.cli run`.

The sum over the processes of what each computes is what one process would have computed: a loss
sees the scores of the whole batch, whoever made them, and gradients are added up. Pair losses
and correlations therefore mean the same, however many processes there are. Results agree to
float rounding, not to the last digit.

All processes take the same decisions from the same numbers; only the first one writes and talks.
They need one run folder and one store in common. In one process every function here does nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from schemas.errors import TrainingError
from train.compute_device import compute_device

PATIENCE = timedelta(hours=2)
"""How long one process waits for another that is alive, such as the first while it writes."""

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Within, this process works together with the others that torchrun started.

    Args:
        device: of the settings: "auto", "cpu" or "cuda".

    Yields:
        The device of this process.

    Raises:
        TrainingError: the others cannot be reached.
    """
    found = compute_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield found
        return
    if found.type == "cuda":
        torch.cuda.set_device(found)
    _meet("nccl" if found.type == "cuda" else "gloo")
    try:
        yield found
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process writes and talks for all."""
    return rank() == 0


def rank() -> int:
    """This process among the others, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def process_count() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _reaching_all(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the failure to reach another process into an error that says what to do."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise TrainingError(
                f"another process of this run cannot be reached: {str(error).splitlines()[0]}",
                where=f"process {os.environ.get('RANK', '0')}",
                fix="look for the first error above; then start all processes again to go on",
            ) from error

    return checked


@_reaching_all
def _meet(backend: str) -> None:
    dist.init_process_group(backend, timeout=PATIENCE)


@_reaching_all
def wait_for_all() -> None:
    """Return when every process has come so far."""
    if process_count() > 1:
        add_up(torch.zeros(1))


def first_then_others(work: Callable[[], R]) -> R:
    """Do in every process what may write, such as a store's index: the first one goes ahead."""
    if is_first():
        done = work()
        wait_for_all()
        return done
    wait_for_all()
    return work()


def share_of(count: int) -> slice:
    """Which of `count` items of a batch are this process's; with few items perhaps none."""
    ends = np.linspace(0, count, process_count() + 1).round().astype(int)
    return slice(int(ends[rank()]), int(ends[rank() + 1]))


def add_up(values: Tensor) -> Tensor:
    """Sum over the processes, the same bits in each; in place where there are several."""
    if process_count() == 1:
        return values
    if dist.get_backend() == "nccl":
        return _reduced(values.cuda()).to(values.device)
    return _reduced(values)


@_reaching_all
def _reduced(values: Tensor) -> Tensor:
    dist.all_reduce(values)
    return values


def whole_batch(own: Tensor, count: int) -> Tensor:
    """The scores of a whole batch, of which this process made its share.

    Args:
        own: (b,) with b as `share_of(count)`; gradients flow back to it alone.
        count: B, the size of the batch.

    Returns:
        (B,), the same in every process.
    """
    if process_count() == 1:
        return own
    share = share_of(count)
    every = own.new_zeros(count)
    every[share] = own.detach()
    every = add_up(every)
    return torch.cat([every[: share.start], own, every[share.stop :]])


def add_up_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the sum of all gradients, in one message.

    A parameter without a gradient in any process keeps none; the optimiser passes it over, as
    it would in one process.
    """
    if process_count() == 1:
        return
    members = list(parameters)
    device = members[0].device
    has_one = torch.tensor([float(p.grad is not None) for p in members], device=device)
    pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in members]
    flat = add_up(torch.cat([has_one, *(piece.flatten() for piece in pieces)]))
    has_one, *sums = torch.split(flat, [len(members), *(p.numel() for p in members)])
    for parameter, total, some in zip(members, sums, has_one.tolist(), strict=True):
        parameter.grad = total.view_as(parameter) if some else None


def of_first(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the first process holds, in every process; all give an array of one shape."""
    if process_count() == 1:
        return values
    given = torch.from_numpy(values if is_first() else np.zeros_like(values)).clone()
    return add_up(given).numpy()


def require_agreement(values: list[float], what: str) -> None:
    """Stop where the processes do not start from the same state.

    Raises:
        TrainingError: this process holds other values than the first.
    """
    if of_first(np.array(values)).tolist() != values:
        raise TrainingError(
            f"the processes of this run do not see the same {what}",
            where=f"process {rank()}",
            fix="give all of them the same store, and a run folder that they have in common",
        )

"""Where the arithmetic happens."""

import os

import torch

from schemas.errors import SettingsError


def compute_device(name: str) -> torch.device:
    """The device of a setting: "cpu", "cuda", or "auto" for the GPU if there is one.

    Of several processes that torchrun started on a machine each has a GPU of its own.

    Raises:
        SettingsError: a GPU is asked for and there is none, or fewer than processes.
    """
    gpu_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpu_count):
        return torch.device("cpu")
    if not gpu_count:
        raise SettingsError("no GPU can be used", where="device = cuda", fix="say --set device=cpu")
    own = os.environ.get("LOCAL_RANK")
    if own is None:
        return torch.device("cuda")
    if int(own) >= gpu_count:
        raise SettingsError(
            f"process {own} has no GPU of its own; this machine has {gpu_count}",
            where="torchrun --nproc-per-node",
            fix="start as many processes as there are GPUs",
        )
    return torch.device("cuda", int(own))

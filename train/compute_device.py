"""Where the arithmetic happens."""

import torch

from schemas.errors import SettingsError


def compute_device(name: str) -> torch.device:
    """The device of a setting: "cpu", "cuda", or "auto" for the GPU if there is one.

    Raises:
        SettingsError: a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise SettingsError("no GPU can be used", where="device = cuda", fix="say --set device=cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")

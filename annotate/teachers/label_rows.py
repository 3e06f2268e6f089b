"""Label logits from stored states: the label rows of the output matrix, without the model.

A bf16 model rounds its logits to steps of 0.125 between 16 and 32, so answers tie. Its state is
rounded too, but number by number, and a sum over all of them hardly shows it: the rows of the
labels times the state, in more digits, are the logits without that last rounding.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from schemas.errors import InputError, TeacherMissing
from schemas.teacher_spec import PromptSpec

FloatArray = npt.NDArray[np.float64]

_OUTPUT = "lm_head.weight"
_EMBEDDING = "embed_tokens.weight"
"""Which is the output matrix, too, where a checkpoint has no other (tied embeddings)."""
_PLAIN = (torch.float32, torch.bfloat16, torch.float16)


def label_logits(
    checkpoint: Path, spec: PromptSpec, states: npt.NDArray[np.floating]
) -> FloatArray:
    """The labels' logits that the output matrix gives these states.

    z_k = ln sum_t exp(W_t h), t over the tokens that count for label k. They are not normalised
    over the vocabulary; a softmax over the labels (`schemas.scale.level_probs`) does not need it.

    Args:
        checkpoint: the folder that the states' teacher was loaded from; only the labels' rows are
            read from its safetensors.
        spec: the prompt of the states; each label needs tokens of its own.
        states: (N, D), as an engine or the store gave them.

    Returns:
        (N, K), float64; rows of the matrix and states are multiplied as they are stored.

    Raises:
        InputError: a label takes several tokens, or the states are not of this checkpoint's width.
        TeacherMissing: no output matrix can be read there.

    Source:
        Definition of the architecture: logits = W h, h past the final norm (docs/embeddings.md).
    """
    if spec.label_sequences or not all(spec.label_token_ids):
        raise InputError(
            "a label takes several tokens, and one state says only what the first of them is",
            where=f"the labels {', '.join(spec.labels)}",
            fix="give a prompt whose labels are one token each, or ask with `annotate points`",
        )
    tokens = [token for ids in spec.label_token_ids for token in ids]
    rows = output_rows(checkpoint, tokens)
    if states.ndim != 2 or states.shape[1] != rows.shape[1]:
        raise InputError(
            f"the states have the shape {states.shape}, the output matrix is"
            f" {rows.shape[1]} numbers wide",
            where=checkpoint,
            fix="give the checkpoint that the states come from",
        )
    logits = states.astype(np.float64) @ rows.T
    ends = np.cumsum([len(ids) for ids in spec.label_token_ids])[:-1]
    per_label = np.split(logits, ends, axis=1)
    return np.stack([np.logaddexp.reduce(one, axis=1) for one in per_label], axis=1)


def output_rows(checkpoint: Path, tokens: list[int]) -> FloatArray:
    """Rows of a checkpoint's output matrix: (len(tokens), D).

    Raises:
        TeacherMissing: there is none, it is quantised, or it lacks one of the rows.
    """
    try:
        places = [
            (path, name)
            for path in sorted(checkpoint.glob("*.safetensors"))
            for name in _names(path)
        ]
        for suffix in (_OUTPUT, _EMBEDDING):
            for path, name in places:
                if name == suffix or name.endswith("." + suffix):
                    return _read(path, name, tokens)
    except (OSError, SafetensorError) as error:
        raise _unreadable(str(error), checkpoint) from error
    raise _unreadable(f"no tensor is called {_OUTPUT} or {_EMBEDDING}", checkpoint)


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _read(path: Path, name: str, tokens: list[int]) -> FloatArray:
    with safe_open(path, framework="pt") as file:
        matrix = file.get_slice(name)
        count = matrix.get_shape()[0]
        if max(tokens) >= count:
            raise _unreadable(f"{name} has {count} rows, and no token {max(tokens)}", path)
        rows = torch.cat([matrix[token : token + 1] for token in tokens])
    if rows.dtype not in _PLAIN:
        raise _unreadable(f"{name} is quantised to {rows.dtype}", path)
    return np.asarray(rows.double().numpy(), dtype=np.float64)


def _unreadable(problem: str, where: Path) -> TeacherMissing:
    return TeacherMissing(
        f"the rows of the labels cannot be read: {problem}",
        where=where,
        fix="give the unquantised checkpoint in safetensors that the states come from",
    )

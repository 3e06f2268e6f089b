"""How far two engines differ on the same questions to the same weights."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotate.auditing.ratings import as_array
from annotate.questions import Asked, LabelAnswer, ask
from annotate.teachers.engine import EngineName
from annotate.teachers.teacher import Teacher
from schemas.scale import level_probs

LIKELY = 0.01
"""A label that both engines give less than this share of the labels' probability moves no score by
more than a hundredth of the scale, however far its logarithm is off."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Differences of label log-probabilities between two engines, in nat."""

    engines: tuple[str, str]
    """Engine, version and hardware of both."""
    answers: int
    """Questions that both answered."""
    mean: float
    largest: float
    largest_likely: float
    """Of labels with at least `LIKELY` of the labels' probability in one of the engines."""
    largest_prob: float
    """Of a label's share of the labels' probability; not in nat."""


def why_not(teacher: Teacher) -> str:
    """Why this teacher cannot be compared; empty where it can."""
    other = other_engine(teacher)
    if teacher.options.quantization != "none":
        return f"{teacher.options.quantization} weights run through vLLM alone"
    if importlib.util.find_spec(other) is None:
        return f"{other} is not installed"
    return ""


def other_engine(teacher: Teacher) -> EngineName:
    """The engine `transformers` for a teacher that vLLM runs, here or on a server; else vLLM."""
    return "vllm" if teacher.engine_name == "transformers" else "transformers"


def compare(
    teacher: Teacher, provenance: str, asked: Sequence[Asked], answers: Sequence[LabelAnswer]
) -> Parity:
    """Ask the other engine the same; the first one must have freed the device.

    Raises:
        TeacherError: the other engine cannot be started, or stops.
    """
    engine = replace(teacher, engine_name=other_engine(teacher)).start()
    try:
        others = list(ask(engine, asked))
        engines = (provenance, engine.provenance)
    finally:
        engine.close()
    return differences(engines, answers, others)


def differences(
    engines: tuple[str, str], answers: Sequence[LabelAnswer], others: Sequence[LabelAnswer]
) -> Parity:
    """The largest and the mean difference; a question that one engine cannot answer is left out."""
    nat, likely, probs = [], [], []
    for one, other in zip(answers, others, strict=True):
        if not (one.is_usable and other.is_usable):
            continue
        both = as_array((one, other), len(one.label_logprobs))
        shares = level_probs(both)
        difference = np.abs(both[0] - both[1])
        nat.append(difference)
        likely.append(difference[shares.max(axis=0) >= LIKELY])
        probs.append(np.abs(shares[0] - shares[1]))
    if not nat:
        return Parity(engines, 0, *[float("nan")] * 4)
    every = np.concatenate(nat)
    return Parity(
        engines,
        len(nat),
        float(every.mean()),
        float(every.max()),
        float(np.concatenate(likely).max()),
        float(np.concatenate(probs).max()),
    )

"""Answers asked for checking: images judged before (sentinels) and images of nothing (blanks).

Sentinels show whether an upgrade of the engine, another driver or another machine changed what
the teacher says. Blanks show what it says when there is nothing to see (METHOD: contextual
calibration). Both go to the table `probes` and never among the points.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from annotate.image_stream import Decoding, StoredImage, open_stored
from annotate.questions import Asked, LabelAnswer, Question, ask
from annotate.teachers.engine import TokenEngine
from data_store.console import say
from data_store.index import query
from data_store.layout import Store
from data_store.shards import commit_rows
from schemas.errors import ImageError
from schemas.ids import sha256_bytes
from schemas.probes import PROBES
from schemas.rows import to_table

SENTINELS = 8
BLANK_PX = 448  # one tile of InternVL; a smaller one would be scaled up and is as blank
DRIFT_WORTH_SAYING = 0.5
"""Nat. Between engines and batch sizes bf16 moves label log-probabilities by .17 to .30 (vLLM
threads #12699, #18352); more is not rounding."""


class Probe(NamedTuple):
    """One image asked about for checking."""

    kind: str
    name: str
    image_id: str
    image: Image.Image
    question: Question


def ask_probes(
    store: Store,
    engine: TokenEngine,
    questions: Sequence[Question],
    *,
    teacher_id: str,
    run_id: str,
    decoding: Decoding,
) -> None:
    """Ask the blanks that were never asked and the sentinels there are, and commit the answers.

    Args:
        store: holds points for sentinels; gets the answers.
        engine: the started teacher.
        questions: the point prompts of this run.
        teacher_id: whose answers they are.
        run_id: names this start of this engine.
        decoding: as in the run itself.
    """
    probes = [
        probe
        for question in questions
        for probe in (
            *_blanks(store, teacher_id, question),
            *_sentinels(store, teacher_id, question, decoding),
        )
    ]
    answers = ask(engine, (Asked(p.question, (p.image,), (p.image_id,)) for p in probes))
    asked_at = datetime.now(UTC).replace(tzinfo=None)  # the column is in UTC
    rows = [
        _row(probe, answer, teacher_id, run_id, engine.provenance, asked_at)
        for probe, answer in zip(probes, answers, strict=True)
        if answer.is_usable
    ]
    if not rows:
        return
    commit_rows(
        store,
        "probes",
        to_table(rows, PROBES),
        producer=engine.provenance,
        teacher_id=teacher_id,
    )
    _report_drift(store, teacher_id, run_id)


def _blanks(store: Store, teacher_id: str, question: Question) -> Iterator[Probe]:
    known = query(
        store,
        """select 1 from probes
        where kind = 'blank' and teacher_id = $teacher_id and prompt_id = $prompt_id limit 1""",
        {"teacher_id": teacher_id, "prompt_id": question.prompt_id},
    )
    if known.num_rows:
        return
    shape = (BLANK_PX, BLANK_PX, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    pixels = {
        "black": np.zeros(shape, np.uint8),
        "grey": np.full(shape, 128, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": noise,
    }
    for name, values in pixels.items():
        yield Probe(
            "blank", name, sha256_bytes(values.tobytes()), Image.fromarray(values), question
        )


def _sentinels(
    store: Store, teacher_id: str, question: Question, decoding: Decoding
) -> Iterator[Probe]:
    # Ids are hashes: the smallest are a random choice, and the same one in every run.
    chosen = query(
        store,
        """select image_id, path from points join images using (image_id)
        where teacher_id = $teacher_id and prompt_id = $prompt_id
        order by image_id limit $count""",
        {"teacher_id": teacher_id, "prompt_id": question.prompt_id, "count": SENTINELS},
    )
    for row in chosen.to_pylist():
        image = StoredImage(**row)
        try:
            yield Probe(
                "sentinel", image.path, image.image_id, open_stored(image, decoding), question
            )
        except ImageError:
            continue  # gone or changed since; the others are enough


def _row(
    probe: Probe,
    answer: LabelAnswer,
    teacher_id: str,
    run_id: str,
    engine: str,
    asked_at: datetime,
) -> dict[str, Any]:
    return {
        "image_id": probe.image_id,
        "teacher_id": teacher_id,
        "prompt_id": probe.question.prompt_id,
        "run_id": run_id,
        "kind": probe.kind,
        "name": probe.name,
        "engine": engine,
        "asked_at": asked_at,
        "level_logprobs": answer.label_logprobs,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
    }


def _report_drift(store: Store, teacher_id: str, run_id: str) -> None:
    found = query(
        store,
        """select max(drift) as drift, max(abs(score_drift)) as score_drift, count(*) as n
        from sentinels where teacher_id = $teacher_id and run_id = $run_id""",
        {"teacher_id": teacher_id, "run_id": run_id},
    ).to_pylist()[0]
    if found["n"] and found["drift"] > DRIFT_WORTH_SAYING:
        say(
            f"warning: the teacher does not answer as it did: on {found['n']} sentinel images its"
            f" log-probabilities moved by up to {found['drift']:.2f} nat and its scores by"
            f" {found['score_drift']:.3f}; `store sql 'from sentinels'` shows them"
        )

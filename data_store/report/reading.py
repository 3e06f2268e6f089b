"""Ask a store everything that its page shows, on one connection.

The rows stay in DuckDB; what comes out are counts, bins and a few rows to look at.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

from data_store.index import Connection, read
from data_store.report import (
    between,
    looking,
    opinions,
    overview,
    pairs,
    refusals,
    scores,
    throughput,
)
from data_store.report.findings import Findings, Tables
from data_store.report.series import Asked

Ask = Callable[[Connection], Tables]

ASKED: tuple[Ask, ...] = (
    overview.ask,
    scores.ask,
    pairs.ask,
    opinions.ask,
    between.ask,
    looking.ask,
    refusals.ask,
    throughput.ask,
)


class Times(NamedTuple):
    """Seconds that each part took."""

    part: str
    seconds: float


def read_findings(asked: Sequence[Asked]) -> Findings:
    """What the stores hold: one table per question, with a column `store`, rows of all stores.

    Raises:
        ShardDamaged: a shard cannot be read.
        StoreUnreachable: the object storage does not answer.
    """
    found = [_read(one) for one in asked]
    return Findings(
        [one.label for one in asked],
        [teacher.label for one in asked for teacher in one.teachers],
        {name: pa.concat_tables([tables[name] for tables in found]) for name in found[0]},
    )


def _read(asked: Asked) -> Tables:
    chosen = pa.table(
        {
            "teacher_id": pa.array([one.teacher_id for one in asked.teachers], pa.string()),
            "teacher": pa.array([one.label for one in asked.teachers], pa.string()),
        }
    )

    def work(connection: Connection) -> Tables:
        connection.register("chosen", chosen)
        for statement in PREPARATION:
            connection.execute(statement)
        return {name: table for ask in ASKED for name, table in ask(connection).items()}

    return {
        name: table.append_column("store", pa.array([asked.label] * table.num_rows, pa.string()))
        for name, table in read(asked.store, work).items()
    }


# Each view is read once: whatever the page shows is counted from these. A number that is not
# finite, which no shard of ours holds, counts as none.
PREPARATION = (
    """
    create temp table point_answers as
    select teacher, teacher_id, prompt_id, image_id,
        case when isfinite(score) then score end as score,
        case when isfinite(confidence) then confidence end as confidence,
        level_mass, level_probs, prompt_tokens, cached_tokens
    from points join chosen using (teacher_id)
    """,
    """
    create temp table image_answers as
    select teacher, image_id, count(*) as prompt_count,
        avg(score) as score, avg(confidence) as confidence,
        max(score) - min(score) as score_spread,
        avg(level_probs[1]) as bad, avg(level_probs[2]) as poor, avg(level_probs[3]) as fair,
        avg(level_probs[4]) as good, avg(level_probs[5]) as excellent
    from point_answers group by teacher, image_id
    """,
    """
    create temp table pair_answers as
    select teacher, teacher_id, prompt_id, image_a, image_b, preference_prob,
        case when isfinite(confidence) then confidence end as confidence,
        confidence_mean, position_bias, consistent, letter_mass, logit_ab, logit_ba,
        prompt_tokens, cached_tokens
    from pairs join chosen using (teacher_id)
    where isfinite(preference_prob)
    """,
    """
    create temp table implied as
    select teacher, teacher_id, prompt_id, image_a, image_b, implied_prob, preference_prob, agrees
    from implied_pairs join chosen using (teacher_id)
    """,
    """
    create temp table opinions as
    select image_id, source, mos_unit from mos where isfinite(mos_unit)
    """,
)

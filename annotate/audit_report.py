"""An audit, as tables for a person and as JSON for a program."""

from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import PurePath
from typing import Any

from annotate.audit import Audit, PairAudit, PointAudit
from annotate.auditing.checks import Check
from annotate.auditing.labels import PromptReading
from annotate.ladders import STRENGTHS
from data_store.console import print_table, say

Rows = Sequence[Sequence[object]]


def as_dict(audit: Audit, checks: Sequence[Check]) -> dict[str, Any]:
    """Everything measured, the means that are checked, and the checks."""
    said = asdict(audit)
    for one, points in zip(said["points"], audit.points, strict=True):
        one |= {"mass": points.mass, "distinct_share": points.distinct_share}
        one["tau"] = {kind: points.tau(kind) for kind in STRENGTHS}
    for one, pairs in zip(said["pairs"], audit.pairs, strict=True):
        one |= {
            "mass": pairs.mass,
            "position_bias": pairs.position_bias,
            "consistency_rate": pairs.consistency_rate,
            "undamaged_share": pairs.undamaged_share,
        }
    done = [check._asdict() | {"passed": check.passed} for check in checks]
    return said | {"checks": done, "passed": all(check.passed for check in checks)}


def print_report(audit: Audit, checks: Sequence[Check]) -> None:
    """Print what was measured, and last the checks."""
    say(f"teacher {audit.teacher_id[:12]}, {audit.engine}, {audit.asked} questions")
    for points in audit.points:
        _print_labels(points.reading)
        _print_ratings(points)
        _print_ladders(points)
    for pairs in audit.pairs:
        _print_labels(pairs.reading)
        _print_pairs(pairs)
    _print_parity(audit)
    rows = [
        (one.name, one.measured, f"{one.wants} {one.limit:g}", "ok" if one.passed else "FAILED")
        for one in checks
    ]
    print_table("checks", ("figure", "measured", "should be", ""), rows)
    if audit.problem:
        say(f"the first question without an answer: {audit.problem}")


def _print_labels(reading: PromptReading) -> None:
    rows: Rows = [
        (
            label.label,
            ", ".join("+".join(map(str, one.token_ids)) for one in label.spellings),
            ", ".join("+".join(map(repr, one.pieces)) for one in label.spellings),
            label.how,
            ", ".join(map(repr, label.left_out)) or "-",
        )
        for label in reading.labels
    ]
    title = f"{reading.kind} prompt {reading.prompt_id[:12]}: {reading.text!r}"
    print_table(title, ("label", "token ids", "pieces", "read as", "left out"), rows)


def _print_ratings(points: PointAudit) -> None:
    rows = [(_name(one.path), *astuple(one)[1:]) for one in points.rated]
    least = min(one.mass for one in points.rated)
    title = f"answers; label mass {points.mass:.3f} in the mean, {least:.3f} at least"
    print_table(title, ("image", "score", "confidence", "top label", "label mass"), rows)


def _print_ladders(points: PointAudit) -> None:
    steps = range(len(points.ladders[0].scores))
    rows = [(one.kind, _name(one.path), *one.scores, one.tau) for one in points.ladders]
    columns = ("kind", "image", *(f"severity {step}" for step in steps), "tau")
    print_table("scores of images made worse step by step", columns, rows)


def _print_pairs(pairs: PairAudit) -> None:
    columns = ("first", "second", "P(first)", "position bias", "consistent", "letter mass")
    rows = [
        (_name(one.first), _name(one.second), *astuple(one)[2:])
        for one in (*pairs.compared, *pairs.damaged)
    ]
    title = (
        f"pairs; of {len(pairs.compared)} pairs of images {pairs.consistency_rate:.0%} answered"
        f" alike in both orders, position bias {pairs.position_bias:+.2f} in the mean"
    )
    print_table(title, columns, rows)


def _print_parity(audit: Audit) -> None:
    parity = audit.parity
    if parity is None:
        say(f"the engines were not compared: {audit.no_parity}")
        return
    title = f"label log-probabilities, difference in nat from {parity.engines[1]}"
    columns = ("mean", "largest", "largest that matters", "largest of a probability")
    figures = (parity.mean, parity.largest, parity.largest_likely, parity.largest_prob)
    print_table(f"{title}; {parity.answers} questions", columns, [figures])


def _name(path: str) -> str:
    return PurePath(path).name

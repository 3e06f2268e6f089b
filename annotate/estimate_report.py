"""An estimate, as a table for a person and as JSON for a program."""

from dataclasses import asdict
from typing import Any, NamedTuple

from annotate.estimate import Estimate
from data_store.console import print_table, say
from data_store.plans import size_of


class Machines(NamedTuple):
    """On how much hardware the run will be."""

    workers: int = 1
    """Engines that share the work."""
    gpus_per_worker: int = 1
    gpu_hour_price: float | None = None
    """What one GPU costs per hour, in any currency."""


class Span(NamedTuple):
    """A figure, and what it is at the rates of the fastest and the slowest round."""

    expected: float
    least: float
    most: float


def as_dict(found: Estimate, machines: Machines) -> dict[str, Any]:
    """Everything that is known; what needs a probe is null without one."""
    probe = found.probe
    said: dict[str, Any] = {
        "table": found.table,
        "rows": found.rows,
        "answered_already": found.answered,
        "prompt_tokens": found.tokens.total,
        "prompt_tokens_per_row": found.tokens.total / max(found.rows, 1),
        "repeated_share": found.tokens.repeated_share,
        "disk_bytes": found.disk_bytes,
        **machines._asdict(),
        "hours": None,
        "gpu_hours": None,
        "cost": None,
        "probe": None,
    }
    if probe is not None:
        said["probe"] = asdict(probe) | {
            "rows_per_s": probe.rows_per_s,
            "prompt_tokens_per_row": probe.tokens_per_row,
            "cached_share": probe.cached_share,
        }
        for name, span in _spans(found, machines).items():
            said[name] = span._asdict()
    return said


def print_estimate(found: Estimate, machines: Machines) -> None:
    """Print the figures, and what they are worth."""
    per_row = found.tokens.total / max(found.rows, 1)
    rows: list[tuple[str, str]] = [
        (f"{found.table} to ask", f"{found.rows:,} ({found.answered:,} answered already)"),
        ("prompt tokens", f"{found.tokens.total:,} ({per_row:,.1f} a row)"),
        ("of these, a prefix cache can serve", f"{found.tokens.repeated_share:.1%}"),
        ("on disk", size_of(found.disk_bytes)),
    ]
    probe = found.probe
    if probe is not None:
        rates = [one.rows_per_s for one in probe.rounds]
        each = ", ".join(f"{rate:,.1f}" for rate in rates)
        rows += [
            ("probe: engine", f"{probe.engine}, started in {probe.start_s:.0f} s"),
            ("probe: rows per second", f"{probe.rows_per_s:,.1f} (rounds: {each})"),
            ("probe: prompt tokens", f"{probe.tokens_per_row:,.1f} a row"),
            (
                "probe: prefix cache",
                f"served {probe.cached_share:.1%}, could have served {probe.repeated_share:.1%}",
            ),
        ]
        spans = _spans(found, machines)
        rows += [
            (f"hours, with --workers {machines.workers}", _shown(spans["hours"])),
            ("GPU-hours", _shown(spans["gpu_hours"])),
        ]
        if "cost" in spans:
            rows.append(("cost", _shown(spans["cost"])))
    print_table("", ("", "estimate"), rows)
    if probe is not None:
        timed = sum(one.rows for one in probe.rounds)
        say(
            f"by a probe of {timed} rows in {len(probe.rounds)} rounds: least and most are its"
            " fastest and slowest round. So short a probe does not fill the engine; a long run is"
            " often faster"
        )


def _spans(found: Estimate, machines: Machines) -> dict[str, Span]:
    hours = found.hours(machines.workers)
    if hours is None:
        return {}
    gpus = machines.workers * machines.gpus_per_worker
    spans = {"hours": Span(*hours), "gpu_hours": Span(*(gpus * h for h in hours))}
    if machines.gpu_hour_price is not None:
        spans["cost"] = Span(*(machines.gpu_hour_price * h for h in spans["gpu_hours"]))
    return spans


def _shown(span: Span) -> str:
    expected, least, most = (f"{x:,.1f}" if x >= 10 else f"{x:.2g}" for x in span)
    return f"{expected} ({least} to {most})"

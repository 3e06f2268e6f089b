"""Which figures of an audit will do, and which are a reason not to start."""

from dataclasses import dataclass
from typing import NamedTuple

from annotate.audit import Audit
from annotate.ladders import STRENGTHS
from schemas.errors import TeacherError

DIFFERENCE_FLOAT32 = 0.05
DIFFERENCE_HALF = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """What is good enough."""

    min_mass: float = 0.8
    """Mean probability of all labels together (METHOD 4.2). Less means that the teacher would
    say something else: the stem does not fit, or a thought begins."""
    max_tau: float = -0.5
    """Mean Kendall's tau-b of each kind of ladder. In a ladder of 6 images that is 11 or 12 of
    the 15 pairs in the right order; a teacher that sees nothing is at 0."""
    min_undamaged: float = 0.75
    """Share of pairs in which an image is preferred to its worst damaged copy; chance is 0.5."""
    min_distinct: float = 0.9
    """Share of different scores. Logits in half precision lie 0.125 apart near 20, and a teacher
    with few different scores cannot rank."""
    max_difference: float | None = None
    """Nat, between two engines, of labels that matter (`Parity.largest_likely`). None takes 0.05
    in float32 and 0.3 in half precision, where rounding alone moves label log-probabilities by
    0.17 to 0.30."""

    def difference(self, dtype: str) -> float:
        """The largest difference allowed in a number format."""
        if self.max_difference is not None:
            return self.max_difference
        return DIFFERENCE_FLOAT32 if dtype == "float32" else DIFFERENCE_HALF


class Check(NamedTuple):
    """One figure against its limit."""

    name: str
    measured: float
    limit: float
    wants: str
    """`at least` or `at most` the limit."""

    @property
    def passed(self) -> bool:
        """Whether it will do; what is no number never will."""
        if self.wants == "at least":
            return self.measured >= self.limit
        return self.measured <= self.limit


def checks(audit: Audit, limits: Limits) -> list[Check]:
    """Every figure that has a limit."""
    found = [Check("questions without a usable answer", audit.unusable, 0, "at most")]
    for number, points in enumerate(audit.points, start=1):
        of = f"point prompt {number}" if len(audit.points) > 1 else "point prompt"
        found += [
            Check(f"{of}: label mass", points.mass, limits.min_mass, "at least"),
            Check(f"{of}: distinct scores", points.distinct_share, limits.min_distinct, "at least"),
        ]
        found += [
            Check(f"{of}: tau on {kind} ladders", points.tau(kind), limits.max_tau, "at most")
            for kind in STRENGTHS
        ]
    for number, pairs in enumerate(audit.pairs, start=1):
        of = f"pair prompt {number}" if len(audit.pairs) > 1 else "pair prompt"
        found += [
            Check(f"{of}: letter mass", pairs.mass, limits.min_mass, "at least"),
            Check(
                f"{of}: undamaged preferred",
                pairs.undamaged_share,
                limits.min_undamaged,
                "at least",
            ),
        ]
    if audit.parity:
        measured, limit = audit.parity.largest_likely, limits.difference(audit.dtype)
        found.append(Check("difference between engines, nat", measured, limit, "at most"))
    return found


def demand(done: list[Check], *, where: str) -> None:
    """Raise TeacherError if any check failed, naming all that did."""
    failed = [check for check in done if not check.passed]
    if failed:
        raise TeacherError(
            f"{len(failed)} of {len(done)} checks failed: "
            + "; ".join(
                f"{one.name} is {one.measured:.3g} and should be {one.wants} {one.limit:.3g}"
                for one in failed
            ),
            where=where,
            fix="docs/audit.md says what each failure means; the limits are options",
        )

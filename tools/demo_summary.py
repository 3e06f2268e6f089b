"""Show what the demo found: one table, one query over teacher confidence, where things are.

    python -m tools.demo_summary DEMO

Writes DEMO/summary.json: rows with the keys name, srcc, plcc, rmse, bias, n.
"""

import json
import sys
from pathlib import Path

from data_store.console import print_table, say
from data_store.files import write_atomically
from data_store.layout import open_store
from data_store.sql.user_query import user_query

COLUMNS = ("name", "srcc", "plcc", "rmse", "bias", "n")
NAMES = ("teacher", "label_free", "leaf_10", "leaf_30", "cft_only_10", "cft_only_30")
CONFIDENCE_QUERY = """\
select round(floor(confidence * 5) / 5, 1) as confidence_from, count(*) as images,
    avg(abs(score - mos_unit)) as mean_error, avg(level_mass) as level_mass
from points join mos using (image_id)
group by all order by confidence_from"""


def main(demo: Path) -> None:
    """Write summary.json and print the demo's results."""
    rows = {row["name"]: row for row in json.loads((demo / "train.json").read_bytes())}
    summary = [{column: rows[name][column] for column in COLUMNS} for name in NAMES]
    write_atomically(demo / "summary.json", json.dumps(summary, indent=2).encode())
    print_table(
        "Agreement with known quality (not human opinion) on held-out pictures",
        COLUMNS,
        [list(row.values()) for row in summary],
    )
    say(
        "teacher: the tiny teacher's own score; label_free: student distilled from it, no MOS;\n"
        "leaf_10, leaf_30: calibrated on 10 % and 30 % of the training MOS;\n"
        "cft_only_10, cft_only_30: the same student and MOS without distillation.\n"
        "srcc, plcc: rank and linear correlation, no fitted curve; rmse, bias: on the [0, 1] scale."
    )
    say(
        f'\nIs a confident teacher right more often? store sql --store {demo / "store"} "\n'
        f'{CONFIDENCE_QUERY}"'
    )
    found = user_query(open_store(demo / "store"), CONFIDENCE_QUERY)
    print_table("", found.column_names, [list(row.values()) for row in found.to_pylist()])
    for what, where in (
        ("images and their known quality", demo / "pictures"),
        ("store of answers", demo / "store"),
        ("students and their record", demo / "run"),
        ("this table", demo / "summary.json"),
        ("the teacher's answers as a page", demo / "teacher-report.html"),
        ("the students as a page", demo / "student-report.html"),
    ):
        say(f"{what}: {where}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Print a measurement as one JSON line and append it to benchmarks/results/."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("leaf-iqa", "torch", "transformers", "duckdb", "pyarrow", "timm")


def record(benchmark: str, name: str, value: float, unit: str) -> None:
    """Print `{"name", "value", "unit"}` and keep it with commit, versions and machine."""
    measured = {"name": name, "value": round(value, 6), "unit": unit}
    print(json.dumps(measured), flush=True)
    kept = measured | {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": {package: metadata.version(package) for package in PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{benchmark}.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(kept) + "\n")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"

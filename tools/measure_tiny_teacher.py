"""Measure the tiny teacher on photographs it never saw; one JSON object a line.

    python -m tools.measure_tiny_teacher --photos DIR [--demo DIR] [--vllm]

Everything goes through the checkpoint's own processor and chat template. Quality is the
*known quality* of degraded crops, not human opinion.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import LeafError
from tools.tiny_teacher.photographs import default_photographs, split_photographs


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, measure, print; 2 if files are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=Path("annotate/tiny_teacher"))
    parser.add_argument(
        "--photos",
        type=Path,
        default=default_photographs(),
        help="folder with mos.csv and images/ (default: biq2021 under LEAF_SHARED)",
    )
    parser.add_argument("--crops-each", type=int, default=6, help="crops of each photograph")
    parser.add_argument("--demo", type=Path, help="also measure a folder of make_demo_images")
    parser.add_argument("--vllm", action="store_true", help="also compare with vLLM")
    options = parser.parse_args(arguments)
    # Threads that wait by spinning are many times slower beside other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _measure(options)
    except LeafError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _measure(options: argparse.Namespace) -> None:
    held_out = split_photographs(options.photos).held_out
    from tools.tiny_teacher.judge import Judge
    from tools.tiny_teacher.measurement import measure_demo, measure_parity, measure_photographs

    teacher = Judge(options.checkpoint, "transformers")
    stages = [measure_photographs(teacher, held_out, crops_each=options.crops_each)]
    if options.demo:
        stages.append(measure_demo(teacher, options.demo))
    if options.vllm:
        stages.append(measure_parity(teacher, options.checkpoint, held_out))
    for figure in itertools.chain.from_iterable(stages):
        print(json.dumps(figure._replace(value=round(figure.value, 7))._asdict()), flush=True)


if __name__ == "__main__":
    sys.exit(main())

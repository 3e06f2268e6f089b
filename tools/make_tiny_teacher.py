"""Train the tiny teacher: a real InternVL checkpoint of 1.5 million weights.

    python -m tools.make_tiny_teacher --photos DIR --out annotate/tiny_teacher

It learns the *known quality* of photographs degraded by `tools/distortions.py`, not human
opinion. `tools/measure_tiny_teacher.py` measures what it learnt.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import LeafError
from tools.tiny_teacher.photographs import default_photographs, split_photographs


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, train, save; 2 if the photographs are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--photos",
        type=Path,
        default=default_photographs(),
        help="folder with mos.csv and images/ (default: biq2021 under LEAF_SHARED)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crops-each", type=int, default=24, help="crops of each photograph")
    parser.add_argument("--vision-steps", type=int, default=1300, help="steps of 64 crops")
    parser.add_argument("--answer-steps", type=int, default=350, help="steps of 32 + 32 questions")
    parser.add_argument("--threads", type=int, default=2, help="of torch; part of the result")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads that wait by spinning took this from 4 to 1 step/s beside another training.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        photographs = split_photographs(options.photos).train
        _train(photographs, options)
    except LeafError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _train(photographs: Sequence[Path], options: argparse.Namespace) -> None:
    import torch

    from tools.tiny_teacher.checkpoint import Schedule, train_checkpoint

    torch.set_num_threads(options.threads)
    train_checkpoint(
        photographs,
        options.out,
        Schedule(options.crops_each, options.vision_steps, options.answer_steps),
        seed=options.seed,
        workers=options.threads,
    )


if __name__ == "__main__":
    sys.exit(main())

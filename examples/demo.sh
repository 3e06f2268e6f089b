#!/usr/bin/env bash
# The main job on the tiny teacher, with the commands you would type yourself. `make demo` runs it.
#
# Its images are degraded crops of photographs and drawn scenes whose quality is KNOWN because we
# degraded them; where the output says MOS, it is this known quality and no human opinion.
# Run again, every step does only what is missing. DEMO says where everything goes.
set -euo pipefail
cd "$(dirname "$0")/.."
demo="${DEMO:-demo}"
images_count="${DEMO_IMAGES:-3000}"
pairs_count="${DEMO_PAIRS:-6000}"

step() { printf '\n== %s\n' "$*" >&2; }

step "make $images_count images of known quality"
python -m tools.make_demo_images "$demo/pictures" --count "$images_count" --seed 0

step "a store: images, grouped by the picture they were cut from, and their known quality"
store init "$demo/store"
store add-images "$demo/pictures/images" --groups "$demo/pictures/mos.csv" --store "$demo/store"
store add-mos "$demo/pictures/mos.csv" --scale 0 1 --source known-quality --store "$demo/store"

step "the teacher judges every image, then pairs of images, each in both orders"
annotate points --model tiny --store "$demo/store"
annotate pairs --model tiny --n-pairs "$pairs_count" --split train --store "$demo/store"

step "the student learns from the store; the teacher is not loaded again"
train run --store "$demo/store" --run "$demo/run" --config configs/demo.toml --json >"$demo/train.json"

step "two pages to look at, which open from disk"
store report --store "$demo/store" --out "$demo/teacher-report.html"
train report "$demo/run" --out "$demo/student-report.html" >&2

step "results"
python -m tools.demo_summary "$demo"

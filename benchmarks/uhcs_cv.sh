#!/usr/bin/env bash
# Cross-validation on ultrahigh-carbon steel: six folds over all 24 micrographs, two seeds.
#
#   benchmarks/uhcs_cv.sh DATA [WORK] [TRAIN OPTION...] > score.json
#
# DATA is as for benchmarks/uhcs.sh. Every micrograph is predicted
# by the one model of each seed that has not seen it. The tables of both seeds, and of both together,
# go to standard error, and at the end what this run took: user and system time, in seconds of one
# core, below that of the shell itself. WORK keeps everything; a second run goes on where the first
# one stopped.
# A quick try: benchmarks/uhcs_cv.sh DATA build/try --features filters --views 1
set -euo pipefail

data=${1:?usage: benchmarks/uhcs_cv.sh DATA [WORK] [TRAIN OPTION...] > score.json}
work=${2:-build/uhcs-cv}
shift "$(($# < 2 ? $# : 2))"
mkdir -p "$work"

mstool tile "$data/images" --labels "$data/labels" --size 484 --overlap 64 \
  --classes 'matrix=0,network=1,spheroidite=2,widmanstaetten=3' -o "$work/tiles"
# two of the micrographs show a strip of the same field, and belong into one fold
mstool split "$work/tiles" --folds 6 --join-overlaps > "$work/split.csv"

for seed in 0 1; do
  mstool train "$work/tiles" --split "$work/split.csv" --test-fold all --arch pixel-classifier \
    --seed "$seed" "$@" -o "$work/cv-$seed"
  mstool predict "$work/tiles" --model "$work/cv-$seed" --select out-of-fold --tta d4 \
    -o "$work/probs-$seed"
  mstool stitch "$work/probs-$seed" -o "$work/masks-$seed"
  mstool score "$work/masks-$seed" "$data/labels" --table -o "$work/score-$seed.json"
done

mstool score "$work/masks-0" "$work/masks-1" "$data/labels" --table
times >&2

#!/usr/bin/env bash
# Cross-validation on ultrahigh-carbon steel: six folds over all 24 micrographs.
#
#   benchmarks/uhcs_cv.sh DATA [WORK] [TRAIN OPTION...] > score.json
#
# DATA is as for benchmarks/uhcs.sh. Every micrograph is predicted by models that have not seen it, in
# two arms: pixels is the pixel classifier as it comes, with two seeds; mean is the mean of a U-Net
# and a pixel classifier on tiles magnified twice, as in benchmarks/uhcs.sh, but with one stage of 10
# epochs, so that it ends within 3 core-hours (seed 0; SEEDS="0 1" does another). The table of mean
# compares it with pixels, paired by micrograph. Tables go to standard error, and at the end what this
# run took: user and system time, in seconds of one core, below that of the shell itself. WORK keeps
# everything; a second run goes on where the first one stopped. ARMS=pixels narrows it down.
# A quick try: ARMS=pixels benchmarks/uhcs_cv.sh DATA build/try --features filters --views 1
set -euo pipefail

data=${1:?usage: benchmarks/uhcs_cv.sh DATA [WORK] [TRAIN OPTION...] > score.json}
work=${2:-build/uhcs-cv}
shift "$(($# < 2 ? $# : 2))"
options=("$@")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"

cut_tiles() {
  mstool tile "$data/images" --labels "$data/labels" --overlap 64 \
    --classes 'matrix=0,network=1,spheroidite=2,widmanstaetten=3' "$@"
}

fit() { # TILES OPTION...
  mstool train "$work/$1" --split "$work/split.csv" --test-fold all "${@:2}"
}

segment() { # TILES NAME MODEL OPTION...
  mstool predict "$work/$1" --select out-of-fold --tta d4 -o "$work/probs-$2" --model "${@:3}"
  mstool stitch "$work/probs-$2" -o "$work/masks-$2"
}

pixels() {
  local seed
  for seed in 0 1; do
    fit tiles --arch pixel-classifier --seed "$seed" -o "$work/cv-$seed" \
      "${options[@]}"
    segment tiles "$seed" "$work/cv-$seed"
    mstool score "$work/masks-$seed" "$data/labels" --table -o "$work/score-$seed.json"
  done
  mstool score "$work/masks-0" "$work/masks-1" "$data/labels" --table -o "$work/score-pixels.json"
}

mean() {
  local seed name
  cut_tiles -o "$work/tiles-twice" --size 512 --scale 2
  for seed in ${SEEDS:-0}; do
    name=mean-$seed
    fit tiles-twice --crop 384 --augment "$here/uhcs-augment.toml" --epochs 10 \
      --loss 'ce+0.3*dice' --validate-every 5 --seed "$seed" -o "$work/unet-$seed"
    fit tiles-twice --arch pixel-classifier --features filters+encoder@0.5+encoder@1 \
      --augment "$here/uhcs-augment.toml" --seed "$seed" -o "$work/pixels-$seed"
    segment tiles-twice "$name" "$work/unet-$seed" --model "$work/pixels-$seed"
    mstool score "$work/masks-$name" "$data/labels" --versus "$work/masks-$seed" --table \
      -o "$work/score-$name.json"
  done
}

cut_tiles -o "$work/tiles" --size 484
# two of the micrographs show a strip of the same field, and belong into one fold
mstool split "$work/tiles" --folds 6 --join-overlaps -o "$work/split.csv"
for arm in ${ARMS:-pixels mean}; do
  "$arm"
done
cat "$work/score-$arm"*.json
times >&2

#!/usr/bin/env bash
# The superalloy benchmark of Stuckner, Harder and Smith (npj Comput. Mater. 8, 200, 2022): Super1,
# Super2 and Super3 learn from 10, 4 and 1 micrographs, and are tested on the same four.
#
#   benchmarks/micronet.sh DATA [WORK] [CSV]
#
# DATA has train/, val/, test/ and train_annot/, ... (repository nasa/pretrained-microscopy-models,
# MIT), with secondary precipitates painted pure blue and tertiary ones pure red. Each cell is a
# protocol, an arm, a seed and greys, and ends with a row in CSV (by default
# benchmarks/results/micronet.csv); one that stands there is not done again. PROTOCOLS, ARMS, SEEDS and
# GREYS narrow it down. Mean greys of these micrographs lie between 113 and 194, and phases 14 apart:
# greys are "each", so that each micrograph is stretched by its own, or "stored".
#
# The published figure pools true positives, false positives and false negatives over three channels
# and all pixels (best ImageNet encoder 0.962, 0.960, 0.870; best microscopy encoder 0.964, 0.961,
# 0.935). Where each pixel has one class, that is a / (2 - a) with the pixel accuracy a. It stands in
# the column published_iou, beside the mean IoU over classes.
set -euo pipefail

data=${1:?usage: benchmarks/micronet.sh DATA [WORK] [CSV]}
work=${2:-build/micronet}
here=$(cd "$(dirname "$0")" && pwd)
csv=${3:-$here/results/micronet.csv}
steps=${STEPS:-900}
mkdir -p "$work" "$(dirname "$csv")"
[ -s "$csv" ] || echo protocol,arm,seed,greys,published_iou,mean_iou,low,high,val_iou,core_s > "$csv"
export OMP_WAIT_POLICY=PASSIVE

names_of() {
  case $1 in
    super1) (cd "$data/train" && ls *.tif) ;;
    super2) printf '%s.tif\n' spot6_0d_2 spot6_180d_7 spot7_0d_5 spot7_180d_3 ;;
    super3) echo spot7_180d_3.tif ;;
  esac
}

write_split() { # PROTOCOL: 0 is for the test, 1 to validate, 2 to train
  echo source,group,fold
  (cd "$data/test" && ls *.tif) | awk '{print $1 "," $1 ",0"}'
  (cd "$data/val" && ls *.tif) | awk '{print $1 "," $1 ",1"}'
  names_of "$1" | awk '{print $1 "," $1 ",2"}'
}

prepare() { # PROTOCOL GREYS: its split, and tiles of its micrographs alone
  local names options=()
  write_split "$1" > "$work/$1.csv"
  [ -s "$work/$1-$2-tiles/tiles.json" ] && return
  [ "$2" = stored ] || options=(--rescale-greys "$2")
  mapfile -t names < <(names_of "$1")
  mstool tile "${names[@]/#/$data/train/}" "$data/val" "$data/test" --labels "$data" \
    --label-suffix _mask --classes 'matrix=*,secondary=#0000ff,tertiary=#ff0000' --size 256 \
    --overlap 64 "${options[@]}" -o "$work/$1-$2-tiles" -q
}

# prints user and system seconds of a command, or what it said where it fails
core_seconds() {
  local TIMEFORMAT='%U %S'
  { time "$@" >&2 2> "$work/log"; } 2>&1 | awk 'END {print $1 + $2}' ||
    { cat "$work/log" >&2; return 1; }
}

fit() { # PROTOCOL ARM SEED GREYS: a model folder, and beside it what it cost
  local name="$work/$1-$2-$3-$4" n epochs options
  [ -s "$name.core_s" ] && return
  n=$(names_of "$1" | grep -c .)
  n=$((n * 9)) # tiles of 256 pixels that overlap by 64 pixels
  epochs=$(((steps + (n + 3) / 4 - 1) / ((n + 3) / 4)))
  options=(--epochs "$epochs" --validate-every "$(((epochs + 7) / 8))")
  [ "$2" = unet ] || options=(--arch pixel-classifier --views 6)
  core_seconds mstool train "$work/$1-$4-tiles" --split "$work/$1.csv" --test-fold 0 --val-fold 1 \
    --seed "$3" -o "$name" -q "${options[@]}" > "$work/core_s"
  mv "$work/core_s" "$name.core_s"
}

cell() { # PROTOCOL ARM SEED GREYS: its row
  local protocol=$1 arm=$2 seed=$3 greys=$4 name="$work/$1-$2-$3-$4" parts=$2 models=() spent
  grep -q "^$protocol,$arm,$seed,$greys," "$csv" && return
  echo "$protocol $arm $seed $greys" >&2
  [ "$arm" != mean ] || parts="pixels unet"
  for part in $parts; do
    fit "$protocol" "$part" "$seed" "$greys"
    models+=(--model "$work/$protocol-$part-$seed-$greys")
  done
  for select in val test; do
    core_seconds mstool predict "$work/$protocol-$greys-tiles" "${models[@]}" --select $select --tta d4 \
      -o "$name-probs" --overwrite -q > "$work/core_s"
    mstool stitch "$name-probs" -o "$name-masks" --overwrite -q
    mstool score "$name-masks" "$data" --label-suffix _mask -q > "$name-$select.json"
  done
  spent=$(for part in $parts; do cat "$work/$protocol-$part-$seed-$greys.core_s"; done |
    cat - "$work/core_s" | awk '{sum += $1} END {print sum}')
  python - "$name-test.json" "$name-val.json" "$protocol,$arm,$seed,$greys" "$spent" >> "$csv" << 'END'
import json, sys
test, val = (json.load(open(path)) for path in sys.argv[1:3])
pooled = test["pooled"]
accuracy = pooled["accuracy"]
low, high = test["interval"]["mean_iou"]
figures = accuracy / (2 - accuracy), pooled["mean_iou"], low, high, val["pooled"]["mean_iou"]
print(",".join([sys.argv[3], *(f"{figure:.4f}" for figure in figures), sys.argv[4]]))
END
  rm -rf "$name-probs" "$name-masks"
}

for seed in ${SEEDS:-0 1}; do
  for protocol in ${PROTOCOLS:-super1 super2 super3}; do
    for greys in ${GREYS:-each}; do
      prepare "$protocol" "$greys"
      for arm in ${ARMS:-pixels unet mean}; do cell "$protocol" "$arm" "$seed" "$greys"; done
    done
  done
done
column -s, -t "$csv"

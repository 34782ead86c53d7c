#!/usr/bin/env bash
# How much does a leak flatter? The study's own mistake, made on purpose: one network is trained and
# tested on the same overlapping tiles of phantoms, divided by tile (neighbours of a tested tile are
# trained on), by image (other fields of its specimen are), and by specimen.
#
#   benchmarks/leakage.sh [WORK] [CSV]
#
# Each seed draws six specimens, which differ in etching, focus, noise, and width of laths and
# boundaries, with two fields each, and cuts every field into nine tiles that share half their edge.
# Every tile is then a micrograph of its own, so that a split by tile can be asked for at all: train
# finds the shared fields and refuses it, unless --allow-leak is given, which its records and the
# score then say. A cell that stands in CSV (by default benchmarks/results/leakage.csv) is not done
# again. SEEDS and ARMS narrow it down. Prints a table with 95 % intervals (t) over seeds.
set -euo pipefail

work=${1:-build/leakage}
here=$(cd "$(dirname "$0")" && pwd)
csv=${2:-$here/results/leakage.csv}
seeds=${SEEDS:-0 1 2 3 4 5}
arms=${ARMS:-tile image specimen}
epochs=${EPOCHS:-16}
mkdir -p "$work" "$(dirname "$csv")"
[ -s "$csv" ] || echo arm,seed,mean_iou,leak > "$csv"
export OMP_WAIT_POLICY=PASSIVE

#         etch blur noise lath-width boundary-width
specimens="0.0 0.06 0.02 0.8 0.25
           0.6 0.06 0.04 0.8 0.35
           0.2 0.12 0.03 1.1 0.25
           0.9 0.08 0.05 0.7 0.30
           0.0 0.10 0.06 0.9 0.20
           0.4 0.05 0.03 1.3 0.40"

prepare() { # SEED: tiles of the fields of all specimens, each a micrograph
  local folder=$work/$1 number=0
  mkdir -p "$folder/raw" "$folder/labels"
  while read -r etch blur noise lath boundary; do
    mstool phantom --images 2 --size 256 --etch "$etch" --blur "$blur" --noise "$noise" \
      --lath-width "$lath" --boundary-width "$boundary" --seed "$(($1 * 10 + number))" -q \
      -o "$folder/phantom"
    for field in 0 1; do
      mv "$folder/phantom/images/phantom_00$field.tif" "$folder/raw/s${number}_f$field.tif"
      mv "$folder/phantom/labels/phantom_00$field.png" "$folder/labels/s${number}_f$field.png"
    done
    mv "$folder/phantom/legend.toml" "$folder/legend.toml"
    rm -r "$folder/phantom"
    number=$((number + 1))
  done <<< "$specimens"
  mstool tile "$folder/raw" --labels "$folder/labels" --legend "$folder/legend.toml" --size 128 \
    --overlap 64 -q -o "$folder/cut"
  mkdir "$folder/single"
  mv "$folder/cut/images" "$folder/cut/labels" "$folder/single"
  mstool tile "$folder/single/images" --labels "$folder/single/labels" \
    --legend "$folder/legend.toml" --size 128 --overlap 0 -q -o "$folder/tiles"
}

cell() { # ARM SEED: its row
  local folder=$work/$2 out=$work/$2/$1 options=()
  grep -q "^$1,$2," "$csv" && return
  echo "$1 $2" >&2
  [ -f "$folder/tiles/tiles.json" ] || prepare "$2"
  case $1 in
    tile) options=(--group-by '.*') ;;
    image) options=(--group-by 's\d+_f\d+') ;;
    specimen) options=(--group-by 's\d+') ;;
  esac
  mkdir -p "$out"
  mstool split "$folder/tiles" --folds 3 "${options[@]}" --seed "$2" -q > "$out/split.csv"
  options=()
  [ "$1" != tile ] || options=(--allow-leak)
  mstool train "$folder/tiles" --split "$out/split.csv" --test-fold 0 --arch unet-plain --depth 3 \
    --width 16 --augment none --epochs "$epochs" --validate-every "$epochs" --threads 1 \
    --seed "$2" "${options[@]}" -q -o "$out/model"
  mstool predict "$folder/tiles" --model "$out/model" --select test -q -o "$out/probs"
  mstool stitch "$out/probs" -q -o "$out/masks"
  mstool score "$out/masks" "$folder/single/labels" -q -o "$out/score.json"
  python3 - "$out/score.json" "$1,$2" >> "$csv" << 'END'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    record = json.load(file)
leak = "allowed" if record["leak"]["allowed"] else "none"
print(f"{sys.argv[2]},{record['pooled']['mean_iou']:.4f},{leak}")
END
}

for seed in $seeds; do
  for arm in $arms; do cell "$arm" "$seed"; done
done

python3 - "$csv" << 'END'
import csv
import sys
from statistics import mean, stdev

from scipy.stats import t

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
scores = {(row["arm"], row["seed"]): float(row["mean_iou"]) for row in rows}
seeds = sorted({row["seed"] for row in rows})


def interval(values):
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3f} ({mean(values) - half:.3f} to {mean(values) + half:.3f})"


def above(arm, other):
    if arm == other or arm == "specimen":
        return "-"
    return interval([scores[arm, seed] - scores[other, seed] for seed in seeds])


print(f"| divided by | mean IoU, {len(seeds)} seeds | above image | above specimen |")
print("|---|---|---|---|")
for arm in ("tile", "image", "specimen"):
    values = interval([scores[arm, seed] for seed in seeds])
    print(f"| {arm} | {values} | {above(arm, 'image')} | {above(arm, 'specimen')} |")
END

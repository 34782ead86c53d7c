#!/usr/bin/env bash
# How many micrographs are enough, and what learns most from the fewest: learning curves.
#
#   benchmarks/few_images.sh DATA [WORK] [CSV]
#
# DATA holds the ultrahigh-carbon steel set, as for uhcs.sh; phantoms are drawn here. Each cell is a
# set, an arm, a number of training micrographs and a seed; it ends with its rows in CSV (by default
# benchmarks/results/few_images.csv), and a cell that stands there is not done again, so the whole
# can be stopped and gone on with. Work is counted in steps; core_s are user and system seconds of
# training and prediction. benchmarks/few_images.py draws the curves and writes the table.
#
# ARMS, SIZES, SEEDS and SETS narrow it down: SETS=phantom SEEDS=0 benchmarks/few_images.sh DATA
set -euo pipefail

data=${1:?usage: benchmarks/few_images.sh DATA [WORK] [CSV]}
work=${2:-build/few}
here=$(cd "$(dirname "$0")" && pwd)
summary=$here/few_images.py
csv=${3:-$here/results/few_images.csv}
steps=300
crop=192
sets=${SETS:-phantom uhcs}
seeds=${SEEDS:-0 1}
arms=${ARMS:-pixels scratch imagenet decoder pretrained mean}
mkdir -p "$work" "$(dirname "$csv")"
[ -s "$csv" ] || echo set,arm,n,seed,image,mean_iou,core_s > "$csv"
export OMP_WAIT_POLICY=PASSIVE

prepare_phantom() {
  mstool phantom --images 24 --size 384 --classes 3 --precipitates 0.02 --scratches 2 --seed 7 \
    -o "$work/phantom/raw" -q
  mstool tile "$work/phantom/raw/images" --labels "$work/phantom/raw/labels" \
    --legend "$work/phantom/raw/legend.toml" --size 256 --overlap 64 -o "$work/phantom/tiles" -q
  # 16 to train on, 2 to validate, 6 for the test
  echo source,group,fold
  for i in $(seq 0 23); do
    name=$(printf 'phantom_%03d.tif' "$i")
    echo "$name,$name,$((i < 16 ? 0 : i < 18 ? 1 : 2))"
  done
}

prepare_uhcs() {
  mstool tile "$data/images" --labels "$data/labels" --size 384 --overlap 64 \
    --classes 'matrix=0,network=1,spheroidite=2,widmanstaetten=3' -o "$work/uhcs/tiles" -q
  echo source,group,fold
  for part in 0:train16A 1:validate4A 2:test4A; do
    tr -d '\r' < "$data/${part#*:}.txt" | awk -v fold="${part%%:*}" 'NF {print $1 "," $1 "," fold}'
  done
}

labels_of() { if [ "$1" = phantom ]; then echo "$work/phantom/raw/labels"; else echo "$data/labels"; fi; }

# prints user and system seconds of a command
core_seconds() {
  local TIMEFORMAT='%U %S'
  { time "$@" >&2 2> "$work/log"; } 2>&1 | awk 'END {print $1 + $2}'
}

learn_looks() { # SET SEED: encoder weights from all micrographs but those of the test, without labels
  local set=$1 seed=$2 out="$work/$1/looks-$2" epochs
  [ -s "$out.core_s" ] && return
  epochs=$(epochs_of "$set" 18 150)
  core_seconds mstool pretrain "$work/$set/tiles" --split "$work/$set/split.csv" --test-fold 2 \
    --crop "$crop" --epochs "$epochs" --seed "$seed" -o "$out" -q > "$work/core_s"
  [ -s "$out/pretrain.json" ] || { cat "$work/log" >&2; exit 1; }
  mv "$work/core_s" "$out.core_s"
}

epochs_of() { # SET N STEPS: passes over the tiles of N micrographs that make about so many steps
  local n_tiles
  n_tiles=$(($(grep -c . "$work/$1/tiles/tiles.jsonl") * $2 / 24))
  echo $((($3 + (n_tiles + 3) / 4 - 1) / ((n_tiles + 3) / 4)))
}

fit() { # SET ARM N SEED: a model folder, and beside it what it cost
  local set=$1 arm=$2 n=$3 seed=$4 out="$work/$1/$2-$3-$4" epochs options
  [ -s "$out.core_s" ] && return
  epochs=$(epochs_of "$set" "$n" "$steps")
  options=(--crop "$crop" --epochs "$epochs" --validate-every "$(((epochs + 3) / 4))")
  case $arm in
    scratch) options+=(--weights none) ;;
    decoder) options+=(--finetune decoder) ;;
    pretrained) learn_looks "$set" "$seed" && options+=(--weights "$work/$set/looks-$seed") ;;
    pixels) options=(--arch pixel-classifier) ;;
  esac
  core_seconds mstool train "$work/$set/tiles" --split "$work/$set/split.csv" --test-fold 2 \
    --val-fold 1 --max-images "$n" --seed "$seed" -o "$out" -q "${options[@]}" > "$work/core_s"
  [ -s "$out/train.json" ] || { cat "$work/log" >&2; exit 1; }
  [ "$arm" != pretrained ] || cat "$work/$set/looks-$seed.core_s" >> "$work/core_s"
  mv "$work/core_s" "$out.core_s"
}

cell() { # SET ARM N SEED: its rows
  local set=$1 arm=$2 n=$3 seed=$4 name="$work/$1/$2-$3-$4" parts=$2 models=() spent
  grep -q "^$set,$arm,$n,$seed," "$csv" && return
  echo "$set $arm $n $seed" >&2
  [ "$arm" != mean ] || parts="pixels imagenet"
  for part in $parts; do
    fit "$set" "$part" "$n" "$seed"
    models+=(--model "$work/$set/$part-$n-$seed")
  done
  core_seconds mstool predict "$work/$set/tiles" "${models[@]}" --select test -o "$name-probs" -q \
    > "$work/core_s"
  spent=$(for part in $parts; do cat "$work/$set/$part-$n-$seed.core_s"; done |
    cat - "$work/core_s" | awk '{sum += $1} END {print sum}')
  mstool stitch "$name-probs" -o "$name-masks" -q
  mstool score "$name-masks" "$(labels_of "$set")" -q > "$name.json"
  python "$summary" rows "$name.json" "$set,$arm,$n,$seed" "$spent" >> "$csv"
  rm -rf "$name-probs" "$name-masks"
}

for set in $sets; do
  mkdir -p "$work/$set"
  [ -s "$work/$set/split.csv" ] || prepare_"$set" > "$work/$set/split.csv"
  default="1 2 4 8 16"
  [ "$set" = phantom ] || default="1 4 16"
  for seed in $seeds; do
    for n in ${SIZES:-$default}; do
      for arm in $arms; do cell "$set" "$arm" "$n" "$seed"; done
    done
  done
done
python "$summary" table "$csv"

#!/usr/bin/env bash
# From raw micrographs of ultrahigh-carbon steel to a score, with mstool's verbs alone.
#
#   benchmarks/uhcs.sh DATA [WORK] [SEED] > score.json
#
# DATA has images/, labels/ and the published split train16A.txt, validate4A.txt, test4A.txt
# (DeCost et al., Microsc. Microanal. 25, 21, 2019; repository lei-bo/MatSeg, MIT).
# WORK keeps tiles, models and masks; a second run goes on where the first one stopped. Work is counted
# in epochs, so that the score is the same on a slow machine and on a busy one. What this run took
# stands at the end: user and system time, in seconds of one core, below that of the shell itself.
set -euo pipefail

data=${1:?usage: benchmarks/uhcs.sh DATA [WORK] [SEED] > score.json}
work=${2:-build/uhcs}
seed=${3:-0}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"

{
  echo source,group,fold
  for part in 0:train16A 1:validate4A 2:test4A; do
    tr -d '\r' < "$data/${part#*:}.txt" | awk -v fold="${part%%:*}" 'NF {print $1 "," $1 "," fold}'
  done
} > "$work/split.csv"

mstool tile "$data/images" --labels "$data/labels" --size 512 --overlap 64 --scale 2 \
  --classes 'matrix=0,network=1,spheroidite=2,widmanstaetten=3' -o "$work/tiles"

train() {
  mstool train "$work/tiles" --split "$work/split.csv" --test-fold 2 --val-fold 1 \
    --augment "$here/uhcs-augment.toml" --seed "$seed" "$@"
}
# first all pixels alike, then the IoU itself, which the rare Widmanstaetten cementite gains from
train --crop 384 --loss 'ce+0.3*dice' --epochs 16 --validate-every 4 -o "$work/unet-$seed"
train --crop 384 --loss ce+lovasz --weights "$work/unet-$seed/model.safetensors" --lr 5e-4 \
  --epochs 12 --validate-every 3 -o "$work/stage2-$seed"
# errs elsewhere than the U-Net does; the tiles are magnified twice already
train --arch pixel-classifier --features filters+encoder@0.5+encoder@1 -o "$work/pixels-$seed"

mstool predict "$work/tiles" --model "$work/stage2-$seed" --model "$work/pixels-$seed" \
  --select test --tta d4 -o "$work/probs-$seed"
mstool stitch "$work/probs-$seed" --overlay --labels "$data/labels" -o "$work/masks-$seed"
mstool score "$work/masks-$seed" "$data/labels" --table
times >&2

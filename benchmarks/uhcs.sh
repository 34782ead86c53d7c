#!/usr/bin/env bash
# From raw micrographs of ultrahigh-carbon steel to a score, with mstool's verbs alone.
#
#   benchmarks/uhcs.sh DATA [WORK] > score.json
#
# DATA has images/, labels/ and the published split train16A.txt, validate4A.txt, test4A.txt
# (DeCost et al., Microsc. Microanal. 25, 21, 2019; repository lei-bo/MatSeg, MIT).
# WORK keeps tiles, model and masks; a second run goes on where the first one stopped.
set -euo pipefail

data=${1:?usage: benchmarks/uhcs.sh DATA [WORK] > score.json}
work=${2:-build/uhcs}
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

# first all pixels alike, then the IoU itself, which the rare Widmanstaetten cementite gains from
train() {
  mstool train "$work/tiles" --split "$work/split.csv" --test-fold 2 --val-fold 1 \
    --crop 384 --augment "$here/uhcs-augment.toml" --epochs 12 "$@"
}
train --loss 'ce+0.3*dice' --validate-every 4 --max-time 19m -o "$work/unet"
train --loss ce+lovasz --weights "$work/unet/model.safetensors" --lr 5e-4 --validate-every 3 \
  --max-time 14m -o "$work/stage2"

mstool predict "$work/tiles" --model "$work/stage2" --select test --tta d4 -o "$work/probs"
mstool stitch "$work/probs" --overlay --labels "$data/labels" -o "$work/masks"
mstool score "$work/masks" "$data/labels" --table

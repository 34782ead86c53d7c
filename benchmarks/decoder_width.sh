#!/usr/bin/env bash
# What the width of the decoder costs and gains: U-Nets learn phantoms, three seeds a width, in short
# trainings and in longer ones.
#
#   benchmarks/decoder_width.sh [WORK] > benchmarks/results/decoder_width.csv
#
# One thread; a line an epoch, with the core-seconds of the whole training of `epochs`. Trainings that
# are done are kept, so that a second call goes on where the first one stopped. EPOCHS, WIDTHS and
# SEEDS can be set.
set -euo pipefail

work=${1:-build/decoder_width}
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
TIMEFORMAT='%U %S'
mkdir -p "$work"

mstool phantom --images 12 --size 384 --classes 3 --precipitates 0.02 -o "$work/phantom" -q
mstool tile "$work/phantom/images" --labels "$work/phantom/labels" --size 256 --overlap 64 \
  --legend "$work/phantom/legend.toml" -o "$work/tiles" -q
[ -s "$work/split.csv" ] || mstool split "$work/tiles" --folds 4 -q > "$work/split.csv"

train() { # EPOCHS SEED WIDTH FOLDER
  mstool train "$work/tiles" --split "$work/split.csv" --test-fold 0 --device cpu --precision fp32 \
    --epochs "$1" --seed "$2" --decoder-width "$3" -o "$4" -q
}

echo epochs,width,seed,epoch,step,val_mean_iou,core_s
for epochs in ${EPOCHS:-6 24}; do
  for seed in ${SEEDS:-0 1 2}; do
    for width in ${WIDTHS:-1 0.5 64,48,32,16,8}; do
      cell=$work/$width-$seed-$epochs
      if [ ! -e "$cell/train.json" ]; then
        # what an interrupted session spent counts too
        { time train "$epochs" "$seed" "$width" "$cell" 2>> "$work/log.txt"; } 2>> "$cell.seconds"
      fi
      core_s=$(awk '{sum += $1 + $2} END {printf "%.0f", sum}' "$cell.seconds")
      # columns are found by name
      awk -F, -v run="$epochs,\"$width\",$seed" -v core_s="$core_s" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { printf "%s,%s,%s,%.4f,%s\n", run, $column["epoch"], $column["step"],
            $column["val_mean_iou"], core_s }' "$cell/history.csv"
    done
  done
done

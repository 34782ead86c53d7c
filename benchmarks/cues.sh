#!/usr/bin/env bash
# Does explain name what a network goes by? Four sets of phantoms whose grains differ in one thing
# alone, a small network for each, and the cause that explain finds.
#
#   benchmarks/cues.sh [WORK]
#
# WORK keeps phantoms, models and explanations; a second run goes on where the first one stopped.
set -euo pipefail

work=${1:-build/cues}
for cue in ${CUES:-rim grey texture lath}; do
  here=$work/$cue
  mkdir -p "$here"
  mstool phantom --cue "$cue" --images 24 --size 256 --seed 3 -q -o "$here/set"
  mstool phantom --cue "$cue" --images 4 --size 256 --seed 77 -q -o "$here/test"
  mstool tile "$here/set/images" --labels "$here/set/labels" --legend "$here/set/legend.toml" \
    --size 128 --overlap 32 -q -o "$here/tiles"
  mstool split "$here/tiles" --folds 8 -q > "$here/split.csv"
  mstool train "$here/tiles" --split "$here/split.csv" --test-fold 0 --val-fold 1 \
    --arch unet-plain --depth 4 --width 8 --weights none --augment spatial --lr 0.005 \
    --epochs 60 --validate-every 5 --max-time 6m --seed 1 -q -o "$here/model"
  [ -z "${TRAIN_ONLY:-}" ] || continue
  mstool explain "$here/test/images" --model "$here/model" --class lath-bainite \
    --methods integrated-gradients,integrated-gradients-blurred,hirescam \
    --boundary --receptive-field -q -o "$here/explain"
  python3 -c '
import json, sys
record = json.load(open(sys.argv[2]))
causal = record["boundary"]["counterfactual"]
verdict = causal["verdict"]
drops = ", ".join(f"without {cause} {drop:.2f}" for cause, drop in causal["drop"].items())
share = record["boundary"]["methods"]["integrated-gradients-blurred"]["share"]
verdicts = record["verdict"]["methods"]
print(f"{sys.argv[1]}: {verdict} ({drops}); share near boundaries {share:.2f}; {verdicts}")
' "$cue" "$here/explain/explain.json"
done

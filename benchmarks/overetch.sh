#!/usr/bin/env bash
# What helps on over-etched micrographs? The study's experiment on phantoms: a network is trained on
# nominal micrographs and tested on over-etched ones, with no, generic and derived augmentation, with
# the repair that domain-shift takes, and after one and two over-etched micrographs were annotated.
#
#   benchmarks/overetch.sh [WORK] > table.md
#
# WORK keeps all files; a second run goes on where the first one stopped. DOSE is the over-etching:
# at 1.7 the network without augmentation has lost about half. BUDGET bounds each training.
set -euo pipefail

work=${1:-build/overetch}
dose=${DOSE:-1.7}
budget=${BUDGET:-6m}
mkdir -p "$work"
cd "$work"

phantoms() { mstool phantom --size 512 -q "$@"; }
tiles() { mstool tile "$1/images" --size 256 --overlap 64 -q -o "$1/tiles" "${@:2}"; }
labelled() { tiles "$1" --labels "$1/labels" --legend nominal/legend.toml; }

# nominal is for training; source and batch are for the test; new is what somebody annotates
phantoms --images 24 --seed 11 -o nominal
phantoms --images 12 --seed 301 -o source
phantoms --images 12 --seed 302 --etch "$dose" -o batch
phantoms --images 2 --seed 303 --etch "$dose" -o new
labelled nominal
tiles source
tiles batch
mstool split nominal/tiles --folds 6 -q > split.csv

train() { mstool train --max-time "$budget" -q "$@"; }

score() { # MODEL NAME [SET] scores a model; results lie in NAME
  mkdir -p "$2"
  for set in ${3:-source batch}; do
    if [ -f "$2/$set.json" ]; then continue; fi
    mstool predict "$set/tiles" --model "$1" -q -o "$2/probs"
    mstool stitch "$2/probs" -q -o "$2/$set-masks"
    mstool score "$2/$set-masks" "${set#repaired-}/labels" -q -o "$2/$set.json"
    rm -r "$2/probs"
  done
}

augmented() { # NAME AUGMENTATION
  train nominal/tiles --split split.csv --test-fold 0 --val-fold 1 --epochs 10 --augment "$2" \
    -o "$1/model"
  score "$1/model" "$1"
}

augmented none none
mstool domain-shift source/images batch/images --model none/model --source-labels source/labels \
  --legend nominal/legend.toml --mitigate auto --derive-augmentation augment.toml -q -o shift
augmented spatial spatial
augmented default default
augmented derived augment.toml

if [ -d shift/model ]; then # the repair is a network
  score shift/model repair
else # or it is micrographs, and is nothing for those that need none
  mkdir -p repaired-batch
  ln -sfn ../shift/repaired repaired-batch/images
  tiles repaired-batch
  score none/model repair "source repaired-batch"
  mv repair/repaired-batch.json repair/batch.json
fi

# the network goes on learning from n new micrographs and as many nominal ones, lest it forget them;
# no micrograph is left to choose by, so the weights of the last epoch are kept
nominal_of_fold() { awk -F, -v k="$1" -v n="$2" '$3 == k && found++ < n {print $1}' split.csv; }
for n in 1 2; do
  mkdir -p annotated-$n/images annotated-$n/labels
  {
    echo source,group,fold
    for fold in 0 1 2; do # test and validation are as before; the third fold has nominal and new
      nominal_of_fold $fold $((fold == 2 ? n : 1)) | while read -r file; do
        cp "nominal/images/$file" annotated-$n/images/
        cp "nominal/labels/${file%.*}".* annotated-$n/labels/
        echo "$file,$file,$fold"
      done
    done
    for file in $(ls new/images | head -n $n); do
      cp "new/images/$file" "annotated-$n/images/new-$file"
      cp "new/labels/${file%.*}".* "annotated-$n/labels/new-$(basename new/labels/"${file%.*}".*)"
      echo "new-$file,new-$file,2"
    done
  } > annotated-$n/split.csv
  labelled annotated-$n
  train annotated-$n/tiles --split annotated-$n/split.csv --test-fold 0 --val-fold 1 --epochs 40 \
    --validate-every 40 --lr 5e-4 --weights none/model/model.safetensors -o annotated-$n/model
  score annotated-$n/model annotated-$n
done

python3 - "$dose" <<'END'
import json
import sys

ROWS = {
    "none": "no augmentation",
    "spatial": "geometry alone (`--augment spatial`)",
    "default": "generic (`--augment default`)",
    "derived": "derived (`--augment augment.toml`)",
    "repair": "no augmentation, repaired (`--mitigate auto`: {})",
    "annotated-1": "no augmentation, one over-etched micrograph annotated",
    "annotated-2": "no augmentation, two annotated",
}


def read(name, part):
    with open(f"{name}/{part}.json", encoding="utf-8") as file:
        record = json.load(file)
    return record["pooled"]["mean_iou"], record["interval"]["mean_iou"]


with open("shift/shift.json", encoding="utf-8") as file:
    chosen = json.load(file)["chosen"]
lost_to, nominal = read("none", "batch")[0], read("none", "source")[0]
print(f"| remedy | mean IoU, etched {sys.argv[1]} | won back | mean IoU, nominal |\n|---|---|---|---|")
for name, label in ROWS.items():
    value, (low, high) = read(name, "batch")
    share = (value - lost_to) / (nominal - lost_to)
    won = "-" if name == "none" else f"{share:.0%}"
    print(
        f"| {label.format(chosen)} | {value:.2f} ({low:.2f} to {high:.2f}) | {won} "
        f"| {read(name, 'source')[0]:.2f} |"
    )
END

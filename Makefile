# make demo    see the tool do its job on micrographs whose truth is known
# make test    run the tests
# Both make .venv and install everything on first use.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MSTOOL := $(BIN)/mstool
DEMO := demo

.DELETE_ON_ERROR:
.PHONY: all install demo test test-slow campaign bench lint format docs docs-check clean

all: test

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# The study in small: phantoms of steel with ferrite, lath-bainite and pearlite.
demo: $(DEMO)/masks/stitch.json
	@$(MSTOOL) score $(DEMO)/masks $(DEMO)/phantom/labels --table -o $(DEMO)/score.json --overwrite
	@echo
	@echo "scores        $(DEMO)/score.json"
	@echo "learning      $(DEMO)/model/curves.png"
	@ls $(DEMO)/masks/overlays/*.png | sed 's/^/picture       /'

$(DEMO)/phantom/phantom.json: | install
	$(MSTOOL) phantom --images 16 --size 512 --classes 3 --precipitates 0.02 --scratches 2 \
	  --info-bar -o $(DEMO)/phantom

$(DEMO)/tiles/tiles.json: $(DEMO)/phantom/phantom.json
	$(MSTOOL) tile $(DEMO)/phantom/images --labels $(DEMO)/phantom/labels \
	  --legend $(DEMO)/phantom/legend.toml --size 256 --overlap 64 -o $(DEMO)/tiles

$(DEMO)/split.csv: $(DEMO)/tiles/tiles.json
	$(MSTOOL) split $(DEMO)/tiles --folds 4 -o $@ --overwrite

$(DEMO)/model/train.json: $(DEMO)/split.csv
	$(MSTOOL) train $(DEMO)/tiles --split $(DEMO)/split.csv --test-fold 0 \
	  --arch pixel-classifier -o $(DEMO)/model

$(DEMO)/probs/predict.json: $(DEMO)/model/train.json
	$(MSTOOL) predict $(DEMO)/tiles --model $(DEMO)/model --select test -o $(DEMO)/probs

$(DEMO)/masks/stitch.json: $(DEMO)/probs/predict.json
	$(MSTOOL) stitch $(DEMO)/probs --overlay --labels $(DEMO)/phantom/labels -o $(DEMO)/masks

test: install
	$(BIN)/python -m pytest -n auto

test-slow: install
	$(BIN)/python -m pytest -n auto -m 'slow or not slow'

# Hundreds of damaged files through every verb that reads them; ends with one table.
campaign: install
	$(BIN)/python -m pytest tests/campaign -n 0 -q -m 'slow or not slow'

bench: install
	$(BIN)/python -m pip install --quiet -r benchmarks/peers.txt
	$(BIN)/python benchmarks/hot_paths.py

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: install
	$(BIN)/python .ci/make_docs.py

docs-check: install
	$(BIN)/python .ci/make_docs.py --check

clean:
	rm -rf $(DEMO) $(VENV) .pytest_cache .ruff_cache .hypothesis

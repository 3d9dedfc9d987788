# Every target calls a module's command line. All but setup, clean and help begin with set-up, if .venv needs it.
#
# make bench CORPUS="/data/my speech" SEED=2 ARGS="--max-epochs 3"

# From make's command line alone: one of these names in the environment (WSL sets NAME) means something else.
PLATFORM = cpu
WORKLOAD =
CORPUS =
RECIPE =
SEED =
BATCH =
NAME =
OUT =
RUNS =
TO =
HOSTS =
RANK =
ARGS =
TRIAL =
SIZES =
OFFERS =
LEVEL =
BUDGET =

# Set, as in many containers, it has every process compile all sources anew, and each test process rewrite all tests.
unexport PYTHONDONTWRITEBYTECODE

# As many test processes as cores, at most 4: each loads TensorFlow. The order is that of tests/conftest.py.
WORKERS = -n $(shell cores=$$(nproc); echo $$((cores < 4 ? cores : 4))) --dist loadscope --no-loadscope-reorder

# The first Python that fits; where none does, python3 says what would. Looked for only when .venv is made.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python .ci/install.py --check >/dev/null 2>&1 && echo $$python && exit; done; echo python3)
# What was given on make's command line is a variable of the target: SEEDS=3 would train one seed for nothing.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name)))
ifneq ($(strip $(GIVEN)),)
REFUSED := $(shell $(or $(wildcard .venv/bin/python),$(PYTHON)) .ci/variables.py '$(MAKECMDGOALS)' $(GIVEN))
$(if $(REFUSED),$(error $(REFUSED)))
endif

SETUP = $(PYTHON) .ci/install.py --dev
# exec: make passes SIGTERM on to its command, which would be a shell that dies of it and leaves a training behind.
RUN = exec .venv/bin/python -m
# Hints then speak of make, and the command obeys the signals that make gets (features/jobs/parent.py).
ASK = exec env SPEECH_TTA_MAKE=1 .venv/bin/python -m
READY = .venv/.complete

# Given to commands as variables of the shell: they may then hold spaces and quotes.
export PLATFORM WORKLOAD CORPUS RECIPE SEED BATCH NAME OUT RUNS TO HOSTS RANK OFFERS LEVEL BUDGET

# The runs asked for as "$$@": one path or pattern, with spaces in it or not, or else several.
LIST_RUNS = IFS=; set -- $${RUNS:-results/*.csv}; unset IFS; \
	[ -e "$$1" ] || set -- $(or $(RUNS),results/*.csv)
# LIST_RUNS, or a line if none is there.
SOME_RUNS = $(LIST_RUNS); [ -e "$$1" ] || { \
	echo "$$1: no such run. make bench makes one, RUNS= says where others are." >&2; exit 2; }

.PHONY: help setup platform bench test test-all lock coverage fuzz trial speed doctor tune estimate saturation reference features tta compare price choose export report final seal verify gallery lint dead clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 10
	@echo 'variables: PLATFORM=$(PLATFORM) WORKLOAD= CORPUS= RECIPE= SEED= BATCH= NAME= OUT= RUNS= TO= SIZES= HOSTS= RANK= OFFERS= LEVEL= BUDGET= ARGS= PYTHON='

setup: ## make .venv, once and after changes; two minutes or so and 3 GB, without root, nothing outside this folder
	@$(SETUP)

$(READY): setup.cfg constraints.txt .ci/install.py
	@$(SETUP)

platform: $(READY) ## platforms/NAME.toml, from what this machine is: NAME=mine [OUT=file.toml] [ARGS="--data /data --force"]
	@$(ASK) benchmark.rig detect $(if $(NAME),"$$NAME") $(if $(OUT),-o "$$OUT") $(ARGS)

bench: $(READY) ## train and judge: [PLATFORM=cpu] [WORKLOAD=mini] [CORPUS=dir] [RECIPE=modern] [SEED=n] [BATCH=n] [NAME=run] [HOSTS=a,b RANK=n] [ARGS=...]
	@$(ASK) benchmark --platform "$$PLATFORM" $(if $(WORKLOAD),--workload "$$WORKLOAD") \
		$(if $(CORPUS),--corpus "$$CORPUS") $(if $(RECIPE),--recipe "$$RECIPE") $(if $(SEED),--seed "$$SEED") \
		$(if $(BATCH),--batch "$$BATCH") $(if $(NAME),--name "$$NAME") $(if $(HOSTS),--hosts "$$HOSTS") $(if $(RANK),--rank "$$RANK") $(ARGS)

test: $(READY) ## run the fast tests, on all cores: [ARGS="tests/features -k mel"]
	@$(RUN) pytest -q -m "not slow" --hypothesis-profile short $(WORKERS) $(ARGS)

test-all: $(READY) ## run all tests, those that take minutes too, and say why any was skipped: [ARGS=...]
	@$(RUN) pytest -q -rs $(WORKERS) $(ARGS)

lock: ## constraints.txt anew: the newest versions that fit every Python of setup.cfg alike; needs uv
	@.ci/lock

coverage: $(READY) ## all tests, and which lines none of them reaches, those of child processes too: [ARGS=...]
	@$(RUN) pytest -q $(WORKERS) --cov --cov-report term:skip-covered $(ARGS)

fuzz: $(READY) ## many more of the tests that make their input up: [ARGS="-k journal"]; takes minutes
	@FUZZ_EXAMPLES=10000 $(RUN) pytest -q tests/fuzz $(ARGS)

trial: $(READY) ## a long experiment whose figures stand in docs/: [TRIAL=kill] [ARGS="--kills 8"]; alone it lists them
	@$(RUN) tests.trials$(if $(TRIAL),.$(TRIAL)) $(ARGS)

speed: $(READY) ## how fast each part is, against what one would pick instead: [ARGS="step --size mini"]
	@$(RUN) benchmark.speed $(ARGS)

doctor: $(READY) ## is anything wrong with this machine? GPUs, links, kernels, disk, system: [ARGS="--level 2"]
	@$(ASK) benchmark.rig doctor $(ARGS)

tune: $(READY) ## batch, readers and buffer of a platform, found by trying: PLATFORM=mine [WORKLOAD=mini] [CORPUS=dir] [RECIPE=modern] [OUT=file.toml] [ARGS="--limit 256"]
	@$(ASK) benchmark.rig tune --platform "$$PLATFORM" $(if $(WORKLOAD),--workload "$$WORKLOAD") \
		$(if $(CORPUS),--corpus "$$CORPUS") $(if $(RECIPE),--recipe "$$RECIPE") $(if $(OUT),-o "$$OUT") $(ARGS)

estimate: $(READY) ## what a run would take and cost, from a minute of timed pieces: [PLATFORM=cpu] [WORKLOAD=mini] [CORPUS=dir] [RECIPE=modern] [BATCH=n] [ARGS="--minutes 2"]
	@$(ASK) benchmark.rig estimate --platform "$$PLATFORM" $(if $(WORKLOAD),--workload "$$WORKLOAD") \
		$(if $(CORPUS),--corpus "$$CORPUS") $(if $(RECIPE),--recipe "$$RECIPE") $(if $(BATCH),--batch "$$BATCH") $(ARGS)

saturation: $(READY) ## how much data is enough: [WORKLOAD=mini] [CORPUS=dir] [SIZES="100 200 400"] [OUT=studies/mini] [ARGS=...]
	@$(ASK) benchmark.saturation $(if $(WORKLOAD),--workload "$$WORKLOAD") $(if $(CORPUS),--corpus "$$CORPUS") \
		$(if $(SIZES),--sizes $(SIZES)) $(if $(OUT),-o "$$OUT") $(ARGS)

reference: $(READY) ## train the runs that epochs to a level are held against: [CORPUS=dir] [OUT=studies/reference] [ARGS=...]
	@$(ASK) benchmark.reference $(if $(CORPUS),--corpus "$$CORPUS") $(if $(OUT),-o "$$OUT") $(ARGS)

features: $(READY) ## extract features from a corpus: CORPUS=dir OUT=dir [ARGS=...]
	@$(RUN) features $(if $(CORPUS),"$$CORPUS") $(if $(OUT),"$$OUT") $(ARGS)

tta: $(READY) ## judge the runs there are: [RUNS="results/a.csv results/b.csv"] [ARGS="--published"]
	@$(SOME_RUNS); $(ASK) benchmark.tta "$$@" $(ARGS)

compare: $(READY) ## which platform is faster, by how much, and is that more than chance: RUNS="sys1 sys2"; alone it lists them [ARGS="--merit"]
	@$(if $(RUNS),set -- $(RUNS);) $(ASK) benchmark.compare "$$@" $(ARGS)

price: $(READY) ## what a training costs: [RUNS="results/a.csv ..."] [ARGS="--kwh-price 0.30 --offers FILE"]
	@$(SOME_RUNS); $(ASK) benchmark.price "$$@" $(ARGS)

export: $(READY) ## runs, or their models, in the formats of others: TO=mllog; alone it lists them [RUNS=...] [OUT=exported/] [ARGS=...]
	@$(if $(TO),$(SOME_RUNS);) $(ASK) benchmark.export "$$@" $(if $(TO),--to "$$TO" -o "$${OUT:-exported/}") $(ARGS)

choose: $(READY) ## which rig to take for a level, and which to try next: LEVEL=wer:20 [OFFERS=offers.toml] [BUDGET=200] [RUNS=...] [ARGS="--trainings 10"]
	@$(SOME_RUNS); $(ASK) benchmark.choose "$$@" $(if $(LEVEL),--level "$$LEVEL") $(if $(OFFERS),--offers "$$OFFERS") \
		$(if $(BUDGET),--budget "$$BUDGET") $(ARGS)

report: $(READY) ## results/report.html, a page of all runs to look at: [RUNS="results/a.csv ..."] [ARGS=...]
	@$(SOME_RUNS); $(ASK) benchmark.report "$$@" -o results/report.html $(ARGS)

final: $(READY) ## evaluate a run's best and last checkpoint on every dev and test subset: RUNS=results/name; alone it lists them [ARGS=...]
	@$(if $(RUNS),$(LIST_RUNS);) $(ASK) benchmark.final "$$@" $(ARGS)

seal: $(READY) ## a run in one file that anyone can check: RUNS=results/name [OUT=name.tta.zip] [ARGS="--corpus data/corpora/... --sign ~/.ssh/id_ed25519"]
	@$(if $(RUNS),$(LIST_RUNS);) $(ASK) benchmark.seal "$$@" $(if $(OUT),-o "$$OUT") $(ARGS)

verify: $(READY) ## is a sealed run true? RUNS=name.tta.zip [CORPUS=dir] [ARGS="--replay"]
	@$(if $(RUNS),$(LIST_RUNS);) $(ASK) benchmark.verify "$$@" $(if $(CORPUS),--corpus "$$CORPUS") $(ARGS)

gallery: $(READY) ## static pages of sealed runs, refused where one does not verify: RUNS=gallery [OUT=site] [ARGS="--check"]
	@$(if $(RUNS),$(LIST_RUNS);) $(ASK) benchmark.gallery "$$@" $(if $(OUT),-o "$$OUT") $(ARGS)

lint: $(READY) ## check style, form and types of the code
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

dead: $(READY) ## list what nothing seems to use: a place to look at, not a verdict
	@$(RUN) vulture features models platforms benchmark --min-confidence 61

clean: ## remove .venv and what tools left; data/ and results/ stay
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage*
	find features models platforms benchmark tests -name __pycache__ -prune -exec rm -rf {} +

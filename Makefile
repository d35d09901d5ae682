# Everything here works on a fresh Debian 12 machine: make setup · demo · test · lint · docs.
.DELETE_ON_ERROR:
.PHONY: setup demo test test-thorough test-board lint docs bench bench-quality board-up board-down lock clean

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
DEMO_MODEL := examples/models/mobilenet_v2_035_96.tflite
STAMP := $(VENV)/.installed

setup: $(STAMP)

$(STAMP): $(LOCK) requirements/uv.lock.txt requirements/no_deps.lock requirements/webgpu.lock pyproject.toml hatch_build.py $(wildcard src/pareto_profiler/drivers/*.[ch] src/pareto_profiler/runtimes/*/driver.*) scripts/setup
	sh scripts/setup $(VENV) $(LOCK)
	touch $@

demo: $(STAMP)
	$(BIN)/pareto-profiler search $(DEMO_MODEL) --runtime litert,onert --granularity operation --budget 60 --output pareto-runs/demo

# No test judges a time or a noise that it measures here: they run beside each other and beside
# whatever else runs. Four on two processors, since many wait; the longest begin first.
test: $(STAMP)
	$(BIN)/python -m pytest -n 4 --dist worksteal

# What takes longest; before each release, and after a change of what it is about.
test-thorough: $(STAMP)
	$(BIN)/python -m pytest -n 4 --dist worksteal -m thorough

# Restarts the board: nothing else may use it meanwhile.
test-board: board-up
	PARETO_PROFILER_TESTS_REQUIRE=board $(BIN)/python -m pytest -s -m board

board-up: $(STAMP)
	$(BIN)/python board/board.py up

board-down: $(STAMP)
	$(BIN)/python board/board.py down

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Into site/; a broken link or a name that is not documented fails.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)
	for file in benchmarks/speed/*.py; do $(BIN)/python $$file || exit 1; done

# Half an hour, most of it whole searches on this machine.
bench-quality: $(STAMP)
	for file in measurement comparison cost repeatability allocator; do $(BIN)/python benchmarks/quality/$$file.py || exit 1; done

lock: $(STAMP)
	sh scripts/lock

clean:
	[ ! -d .board ] || python3 board/board.py down
	rm -rf $(VENV) .tools .board build dist site src/pareto_profiler/drivers/bin

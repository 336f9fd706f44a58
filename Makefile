# Every way to build and check r1. "make" alone builds the program: build/release/r1.
# Variables: JOBS (parallel compilers), PREFIX (install), RECIPE and RUN (demo), SEED, RUNS (campaigns), FUZZ_SECONDS.
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
RECIPE ?= recipes/mini-zero.toml
RUN ?= runs/demo
SEED ?= 0
RUNS ?= 25
FUZZ_SECONDS ?= 60
R1 = build/release/r1
CONFIGURE = cmake -S . -G Ninja -DCMAKE_BUILD_TYPE=Release

.DEFAULT_GOAL := build
.PHONY: build demo demo-r1 check test test-fast test-asan test-clang bench fuzz format tidy install clean campaign-kill campaign-seeds \
	campaign-r1 campaign-compare-rl campaign-base-quality

build:  ## the program alone, without tests: build/release/r1
	@$(CONFIGURE) -B build/release -DR1_TESTS=OFF -DR1_EXAMPLES=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build build/release -j $(JOBS)

demo: build  ## from random weights to a model that thinks, on the built-in world
	$(R1) run $(RECIPE) --output-dir $(RUN) --seed $(SEED)

demo-r1: build  ## the whole R1 pipeline: four stages, reward models, distillation into students
	$(R1) run recipes/mini-r1.toml --output-dir $(RUN)-r1 --seed $(SEED)

check:  ## the rules that need no compiler, in seconds
	@tools/check_layers.sh && tools/check_size.sh && tools/check_style.sh

test:  ## everything: rules, headers, unit tests, install, end to end
	@tools/run_tests.sh all $(JOBS)

test-fast:  ## rules and unit tests without the slow ones
	@tools/run_tests.sh fast $(JOBS)

test-asan:  ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	cmake --preset dev && cmake --build --preset dev -j $(JOBS) && ctest --preset dev

test-clang:  ## the same code through clang 16
	$(CONFIGURE) -B build/clang -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16
	cmake --build build/clang -j $(JOBS) && ctest --test-dir build/clang --output-on-failure -j $(JOBS)

bench:  ## micro-benchmarks of the kernels (needs libbenchmark-dev)
	$(CONFIGURE) -B build/bench -DR1_TESTS=OFF -DR1_EXAMPLES=OFF -DR1_BENCH=ON
	cmake --build build/bench -j $(JOBS)
	@for program in build/bench/*_bench; do echo "$$program" && "$$program" || exit 1; done

fuzz:  ## every fuzz target for FUZZ_SECONDS (needs clang-16 and libclang-rt-16-dev)
	cmake --preset fuzz && cmake --build --preset fuzz -j $(JOBS)
	tools/run_fuzz.sh build/fuzz $(FUZZ_SECONDS)

format:  ## rewrites the sources with clang-format 14, the version of Debian 12
	tools/check_format.sh --write

tidy:  ## clang-tidy 16 with the checks of .clang-tidy
	cmake --preset tidy && cmake --build --preset tidy -j $(JOBS)

install: build  ## program, library, headers, CMake and pkg-config files under PREFIX
	cmake --install build/release --prefix $(PREFIX)

campaign-kill: build  ## kills a training run RUNS times at random moments; the final bytes must be those of an unbroken run
	tools/campaign_kill.sh $(R1) $(RUNS)

campaign-seeds: build  ## the whole recipe under several seeds and one report over all
	tools/campaign_seeds.sh $(R1) $(RECIPE)

campaign-r1: build  ## the R1 pipeline under several seeds and one report over all
	tools/campaign_seeds.sh $(R1) recipes/mini-r1.toml

campaign-compare-rl: build  ## every RL algorithm from one base with equal token budgets, several seeds
	tools/campaign_seeds.sh $(R1) recipes/compare-rl.toml

campaign-base-quality: build  ## RL from bases that have seen no, little and much reasoning, at three sizes
	$(R1) run recipes/base-quality.toml --output-dir runs/base-quality --seed $(SEED)

clean:
	rm -rf build

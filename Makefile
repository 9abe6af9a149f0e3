# kith: everything a person types. `make help` lists it. Recipes of more than a few lines are scripts.
# Variables may come from the environment or from the command line; CC is make's own, that is cc.
CARGO ?= cargo
CFLAGS ?= -O2
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= lib
INCLUDEDIR ?= include
# for `make demo`: names of packages, e.g. ARGS="gimp vlc"; for `make bench`: options, e.g. ARGS="--sets my.fvecs"
ARGS ?=

# target/ unless CARGO_TARGET_DIR (which cargo reads too) says otherwise
TARGET = $${CARGO_TARGET_DIR:-target}
# The release build has a directory of its own: `cargo build` leaves files of the same names that are not the shipped ones.
SHIP = $(TARGET)/ship
OUT = $(TARGET)/dist

.PHONY: help lib demo bench bench-peers work pgo test lint test-arm loom tsan install uninstall header clean

help:
	@echo 'make demo [ARGS="gimp vlc"]  build, index 10,000 package descriptions, show the nearest, save, open, compare'
	@echo 'make lib                     build target/dist/libkith.so and libkith.a'
	@echo 'make install [PREFIX=/usr/local] [DESTDIR=] [LIBDIR=lib]'
	@echo '                             put library, header, CMake package and pkg-config file in place (needs no CMake)'
	@echo 'make uninstall               take them away again (same variables)'
	@echo 'make bench [ARGS="--sets my.fvecs"]'
	@echo '                             beside hnswlib, faiss and others: tables and plots (ARGS=--help: all options)'
	@echo 'make work                    work per query (distances, instructions, recall) beside what is recorded'
	@echo 'make pgo                     build target/pgo/dist/libkith.so and libkith.a with profile feedback (no faster so far)'
	@echo 'make test                    Rust tests, C and C++ programs, symbols, install round trip'
	@echo 'make test-arm                the Rust tests for 64-bit Arm in an emulator'
	@echo 'make loom                    models of concurrent steps through every interleaving'
	@echo 'make tsan                    the stress programs under ThreadSanitizer (needs a nightly toolchain)'
	@echo 'make lint                    format check, clippy and rustdoc with warnings denied'
	@echo 'make header                  write include/kith.h anew from the Rust sources'
	@echo 'make clean                   remove everything built'

lib:
	@CARGO='$(CARGO)' sh cmake/require.sh cargo
	@CARGO='$(CARGO)' sh cmake/build-library.sh . "$(SHIP)" "$(OUT)"

demo: lib
	@CC='$(CC)' sh cmake/require.sh cc
	@$(CC) -std=c99 $(CFLAGS) -Iinclude -o "$(OUT)/quickstart" c_examples/quickstart.c \
	    "$(OUT)/libkith.so" -Wl,-rpath,"$$(cd "$(OUT)" && pwd)" -lm
	@"$(OUT)/quickstart" --data c_examples/data --file "$(OUT)/quickstart.kith" $(ARGS)

bench: lib
	@sh benches/peers/run.sh bench $(ARGS)

bench-peers:
	@sh benches/peers/run.sh install

work: lib
	@CARGO='$(CARGO)' CC='$(CC)' KITH_BLESS='$(KITH_BLESS)' sh benches/work/work.sh . "$(OUT)" "$(TARGET)/ctest/scratch/hooks" "$(TARGET)/work"

pgo:
	@CARGO='$(CARGO)' CC='$(CC)' sh cmake/require.sh cargo cc
	@CARGO='$(CARGO)' CC='$(CC)' sh cmake/pgo.sh . "$(TARGET)/pgo" "$(TARGET)/pgo/dist"

test:
	@CARGO='$(CARGO)' CC='$(CC)' sh tests/package/test-all.sh

lint:
	@CARGO='$(CARGO)' sh cmake/require.sh cargo
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items

loom:
	CARGO_TARGET_DIR="$(TARGET)/loom" $(CARGO) test --locked --release --manifest-path tests/loom/Cargo.toml

tsan:
	@CARGO='$(CARGO)' sh tests/sanitize.sh thread
	@CARGO='$(CARGO)' sh tests/sanitize_cpp.sh

test-arm:
	@CARGO='$(CARGO)' sh tests/arm.sh

install: lib
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' CC='$(CC)' \
	    sh cmake/install-tree.sh install . "$(OUT)"

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' \
	    sh cmake/install-tree.sh uninstall . "$(OUT)"

header:
	KITH_BLESS=1 $(CARGO) test --locked --test header

clean:
	rm -rf build build-*
	$(CARGO) clean

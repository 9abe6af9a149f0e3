# Sourced by the checks of this directory, each called as: check.sh SOURCE CARGO_TARGET BUILT SCRATCH
# SOURCE: this repository; CARGO_TARGET: what cargo filled; BUILT: what cmake/build-library.sh filled; SCRATCH: ours, emptied.
# Environment: CARGO, CC, CMAKE; KITH_HOOKS: where the library with the feature test-hooks is built (second_rust.sh).
set -eu

source=$1
cargo_target=$2
built=$3
scratch=$4

: "${CARGO:=cargo}" "${CC:=cc}" "${CMAKE:=cmake}"

rm -rf "$scratch"
mkdir -p "$scratch"

version=$(sed -n 's/^version *= *"\(.*\)".*/\1/p' "$source/Cargo.toml" | head -n 1)
minor=${version#*.}
minor=${minor%%.*}

fail() { echo "FAILED: $*"; exit 1; }
ok() { echo "ok: $*"; }

# Runs quietly; shows the output if it fails.
quiet() {
    "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "$*"; }
}

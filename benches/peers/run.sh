#!/bin/sh
# Runs bench.py, with a Python that has numpy and the other engines.
#
#   run.sh bench [argument...]    in target/bench/python, or in PYTHON if that is set; the environment is made when first needed
#   run.sh install                makes the environment, or brings it up to date
#   run.sh test                   tests of the bench itself; skipped (77) where no Python has numpy
set -eu
cd "$(dirname "$0")/../.."
: "${PYTHON:=}"
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
environment=$target/bench/python

install() {
    command -v python3 >/dev/null || { echo "make bench needs python3. Type: apt-get install python3 python3-venv" >&2; exit 1; }
    # What the system's Python has already is used: engines are big.
    [ -x "$environment/bin/python" ] || python3 -m venv --system-site-packages "$environment" >&2 || {
        rm -rf "$environment"
        echo "make bench needs Python's venv. Type: apt-get install python3-venv (or set PYTHON to one that has numpy and hnswlib)" >&2
        exit 1
    }
    echo "bench-peers: fetching numpy and the other engines into $environment (once, a few minutes)" >&2
    "$environment/bin/python" benches/peers/install.py >&2
    touch "$environment/complete"
}

task=$1
shift
case $task in
install) install ;;
bench)
    if [ -z "$PYTHON" ]; then
        [ -e "$environment/complete" ] || install
        PYTHON=$environment/bin/python
    fi
    exec "$PYTHON" benches/peers/bench.py "$@"
    ;;
test)
    for python in $PYTHON "$environment/bin/python" python3; do
        if "$python" -c 'import numpy' 2>/dev/null; then exec "$python" -m unittest discover -s benches/peers -p 'test_*.py'; fi
    done
    echo "skipped: no Python with numpy"
    exit 77
    ;;
*) echo "run.sh bench|install|test" >&2; exit 2 ;;
esac

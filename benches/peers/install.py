"""`make bench-peers`: fetches numpy and the other engines from PyPI into target/bench/python, whatever can be had.

Run by the Python it installs for (run.sh). One package after the other, so that one that does not build or has no wheel here is left out and the others come all the same.
hnswlib is compiled on the machine and needs a C++ compiler. diskannpy asks for an old numpy and works with a new one.
"""
from __future__ import annotations

import subprocess
import sys

ALONE = {"diskannpy"}  # without what it asks for


def pip(*words: str) -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        print(f"  {words[-1]}: not to be had here: {lines[-1] if lines else done.returncode}", flush=True)
    return done.returncode == 0


def main() -> None:
    if not pip("numpy"):
        sys.exit("numpy is needed by the bench itself")
    from peers import PACKAGES  # needs numpy

    got = []
    for name, version in PACKAGES.items():
        if pip(*(["--no-deps"] if name in ALONE else []), f"{name}=={version}"):
            got.append(f"{name} {version}")
    print(f"bench-peers: {', '.join(got) or 'none'}")


if __name__ == "__main__":
    main()

"""Clustering beside faiss: processor time and what is lost, in alternating runs.

    cargo bench --features test-hooks --bench kmeans --no-run       # builds target/release/deps/kmeans-*
    python3 benches/peers/kmeans.py --bench target/release/deps/kmeans-HASH --base base.npy [--clusters 256] [--rounds 10] [--runs 3]

Both take all rows and do the same number of rounds from sampled seeds, on two threads. The loss is the mean squared distance of the rows from their
nearest mean, in floats, for both computed by faiss's exact search. benches/record/codes.md has what came of it.
"""
from __future__ import annotations

import argparse
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def loss(base: np.ndarray, means: np.ndarray) -> float:
    index = faiss.IndexFlatL2(base.shape[1])
    index.add(means)
    some = base[:: max(1, len(base) // 200_000)]
    return float(index.search(some, 1)[0].astype(np.float64).mean())


def of_faiss(base: np.ndarray, clusters: int, rounds: int) -> tuple[float, float, np.ndarray]:
    means = faiss.Kmeans(
        base.shape[1], clusters, niter=rounds, seed=1, verbose=False, max_points_per_centroid=len(base)
    )
    before, began = cpu(), time.perf_counter()
    means.train(base)
    return cpu() - before, time.perf_counter() - began, means.centroids


def of_kith(bench: Path, base: Path, columns: int, options: list[str]) -> tuple[float, float, np.ndarray]:
    with tempfile.NamedTemporaryFile() as out:
        run = [str(bench), "--base", str(base), "--out", out.name, *options]
        text = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        found = re.search(r"cpu ([\d.]+) s, wall ([\d.]+) s", text)
        assert found, text
        return float(found[1]), float(found[2]), np.fromfile(out.name, dtype=np.float32).reshape(-1, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--clusters", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    faiss.omp_set_num_threads(2)
    base = np.load(args.base)
    assert base.dtype == np.float32, base.dtype
    options = ["--clusters", str(args.clusters), "--threads", "2"]
    ways = {
        "faiss": lambda: of_faiss(base, args.clusters, args.rounds),
        "kith": lambda: of_kith(args.bench, args.base, base.shape[1], [*options, "--rounds", str(args.rounds)]),
        "kith, partial first": lambda: of_kith(
            args.bench, args.base, base.shape[1], [*options, "--partial", "8", "--rounds", str(max(1, args.rounds // 3))]
        ),
    }
    for _ in range(args.runs):
        for name, way in ways.items():
            used, took, means = way()
            print(f"{name:20} cpu {used:7.2f} s  wall {took:6.2f} s  loss {loss(base, means):.6g}", flush=True)


if __name__ == "__main__":
    main()

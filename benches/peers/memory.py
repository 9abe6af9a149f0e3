"""How much memory does which recall take? One table per set, one line per quantizer, from real runs of `benches/peer.rs`.

    memory.py PEER SET... [--quantizers 0,6,7,6v,7v,1,3,4,5] [--rounds 3] [--hnswlib]

PEER is the program (`cargo bench --bench peer --no-run` names it), a SET is what sets.py describes. Bytes per vector are all that the index
holds in memory, graph and keys included; with a `v` behind its number a quantizer's vectors are left in the file (KITH_OPEN_VECTORS_MAPPED), whose bytes
are told apart; with an `h` or `b` they are held as f16 or bf16. hnswlib's bytes are those of its element (M 16) and of its lists of upper levels; with `--hnswlib` it runs, too. The lines of README.md
come from here. Quantizers run in turns, and each figure is the least processor time of all rounds.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import sets

NAMES = {
    0: "`AUTO`",
    1: "`NONE`",
    2: "`PROJECTED4`",
    3: "`BYTES`",
    4: "`LEADING8`",
    5: "`LEADING8_FINE`",
    6: "`PROJECTED2`",
    7: "`PROJECTED1`",
    8: "`PRODUCT`",
    9: "`SIGNS`",
    10: "`BYTES_PROJECTED4`",
}
EFS = [10, 14, 20, 28, 40, 56, 80, 112, 160, 256]
RECALLS = [0.90, 0.95, 0.99]
M = 16


def hnswlib_bytes(dim: int) -> float:
    """Vector, links at level 0 and label; about one element in M has a list of M links, and each a pointer to it."""
    return 4 * dim + 4 + 8 * M + 8 + 8 + (4 + 4 * M) / (M - 1)


class Peer:
    """One running peer."""

    def __init__(self, program: str, given: sets.Set, what: str) -> None:
        quantizer = int(what.rstrip("vhb"))
        held = "f16" if "h" in what else "bf16" if "b" in what else "f32"
        self.name = NAMES[quantizer] + (f", {held}" if held != "f32" else "")
        self.name += ", vectors in the file" if what.endswith("v") else ""
        arguments = ["--base", given.base, "--query", given.queries, "--metric", given.metric, "--k", "10"]
        arguments += ["--quantizer", quantizer, "--held", held, "--efs", ",".join(map(str, EFS))]
        arguments += ["--open", "vectors"] if what.endswith("v") else []
        self.process = subprocess.Popen(
            [program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = json.loads(self.process.stdout.readline())
        self.given, self.micros, self.recalls = given, {}, {}
        self.held, self.mapped = (self.first[field] / given.n for field in ("held_bytes", "mapped_bytes"))

    def round(self) -> None:
        """Has every setting timed once."""
        self.process.stdin.write("[]\n")
        self.process.stdin.flush()
        while "end" not in (line := json.loads(self.process.stdout.readline())):
            ef = line["param"]
            self.micros[ef] = min(line["cpu_us"], self.micros.get(ef, np.inf))
            ids = Path(line["ids_file"])
            if ef not in self.recalls:
                self.recalls[ef] = self.given.recall(np.load(ids))
            ids.unlink(missing_ok=True)

    def at(self, recall: float) -> str:
        return at(self.micros, self.recalls, recall)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Hnswlib:
    """hnswlib on the same set, with M 16 and ef_construction 200."""

    def __init__(self, given: sets.Set) -> None:
        import hnswlib

        base, self.queries = np.load(given.base), np.load(given.queries)
        self.index = hnswlib.Index(space="ip" if given.metric == "cosine" else "l2", dim=given.dim)
        self.index.init_index(max_elements=given.n, M=M, ef_construction=200, random_seed=1)
        self.index.add_items(base)
        self.index.set_num_threads(1)
        self.name, self.given, self.micros, self.recalls = "hnswlib", given, {}, {}
        self.held, self.mapped = hnswlib_bytes(given.dim), 0.0

    def round(self) -> None:
        for ef in EFS:
            self.index.set_ef(ef)
            start = time.process_time()
            found = self.index.knn_query(self.queries, k=10)[0]
            micros = (time.process_time() - start) * 1e6 / len(self.queries)
            self.micros[ef] = min(micros, self.micros.get(ef, np.inf))
            if ef not in self.recalls:
                self.recalls[ef] = self.given.recall(found.astype(np.int64))

    def at(self, recall: float) -> str:
        return at(self.micros, self.recalls, recall)

    def end(self) -> None:
        del self.index


def at(micros: dict[int, float], recalls: dict[int, float], recall: float) -> str:
    """Microseconds at a recall, between the two settings around it."""
    points = [(recalls[ef], micros[ef]) for ef in EFS]
    if points[0][0] >= recall:
        return f"≤ {points[0][1]:.0f}"
    for (low, fast), (high, slow) in zip(points, points[1:], strict=False):
        if low < recall <= high:
            return f"{fast + (recall - low) / (high - low) * (slow - fast):.0f}"
    return "-"


def table(program: str, spec: str, quantizers: list[str], rounds: int, beside: list[type], work: Path) -> None:
    given = sets.load(spec, 10, work, work)
    engines = [Peer(program, given, quantizer) for quantizer in quantizers] + [engine(given) for engine in beside]
    for _ in range(rounds):
        for engine in engines:
            engine.round()
    theirs = hnswlib_bytes(given.dim)
    print(f"\n{given.name}, {given.n:,} x {given.dim}, {given.metric}; hnswlib {theirs:,.0f} bytes per vector\n")
    print("| `KITH_QUANTIZER_` | bytes per vector | in the file | of hnswlib's | us at recall 0.90 | 0.95 | 0.99 | most recall (ef 256) |")
    print("|---|---|---|---|---|---|---|---|")
    for engine in engines:
        cells = [engine.at(recall) for recall in RECALLS]
        mapped = f"{engine.mapped:,.0f}" if engine.mapped else ""
        bytes_told = f"{engine.held:,.0f} | {mapped} | {engine.held / theirs:.2f}"
        print(f"| {engine.name} | {bytes_told} | {' | '.join(cells)} | {engine.recalls[EFS[-1]]:.3f} |")
        engine.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--quantizers", default="0,6,7,6v,7v,1,3,4,5", help="numbers of kith.h")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hnswlib", action="store_true", help="run hnswlib in the same turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for spec in options.sets:
            beside = [Hnswlib] if options.hnswlib else []
            table(options.peer, spec, options.quantizers.split(","), options.rounds, beside, Path(work))


if __name__ == "__main__":
    main()

"""How much memory does which recall take? One table per set, one line per quantizer, from real runs of `benches/peer.rs`.

    memory.py PEER SET... [--quantizers 0,6,7,1,3,4,5] [--rounds 3]

PEER is the program (`cargo bench --bench peer --no-run` names it), a SET is what sets.py describes. Bytes per vector are all that the index
holds, graph and keys included; hnswlib's are those of its element (M 16) and of its lists of upper levels. The lines of README.md come from
here. Quantizers run in turns, and each figure is the least processor time of all rounds.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
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
}
EFS = [10, 14, 20, 28, 40, 56, 80, 112, 160, 256]
RECALLS = [0.90, 0.95, 0.99]
M = 16


def hnswlib_bytes(dim: int) -> float:
    """Vector, links at level 0 and label; about one element in M has a list of M links, and each a pointer to it."""
    return 4 * dim + 4 + 8 * M + 8 + 8 + (4 + 4 * M) / (M - 1)


class Peer:
    """One running peer."""

    def __init__(self, program: str, given: sets.Set, quantizer: int) -> None:
        arguments = ["--base", given.base, "--query", given.queries, "--metric", given.metric, "--k", "10"]
        arguments += ["--quantizer", quantizer, "--efs", ",".join(map(str, EFS))]
        self.process = subprocess.Popen(
            [program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = json.loads(self.process.stdout.readline())
        self.given, self.micros, self.recalls = given, {}, {}

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
        """Microseconds at a recall, between the two settings around it."""
        points = [(self.recalls[ef], self.micros[ef]) for ef in EFS]
        if points[0][0] >= recall:
            return f"≤ {points[0][1]:.0f}"
        for (low, fast), (high, slow) in zip(points, points[1:], strict=False):
            if low < recall <= high:
                return f"{fast + (recall - low) / (high - low) * (slow - fast):.0f}"
        return "-"


def table(program: str, spec: str, quantizers: list[int], rounds: int, work: Path) -> None:
    given = sets.load(spec, 10, work, work)
    peers = {quantizer: Peer(program, given, quantizer) for quantizer in quantizers}
    for _ in range(rounds):
        for peer in peers.values():
            peer.round()
    theirs = hnswlib_bytes(given.dim)
    print(f"\n{given.name}, {given.n:,} x {given.dim}, {given.metric}; hnswlib {theirs:,.0f} bytes per vector\n")
    print("| `KITH_QUANTIZER_` | bytes per vector | of hnswlib's | us at recall 0.90 | 0.95 | 0.99 | most recall (ef 256) |")
    print("|---|---|---|---|---|---|---|")
    for quantizer, peer in peers.items():
        held = peer.first["held_bytes"] / given.n
        cells = [peer.at(recall) for recall in RECALLS]
        print(f"| {NAMES[quantizer]} | {held:,.0f} | {held / theirs:.2f} | {' | '.join(cells)} | {peer.recalls[EFS[-1]]:.3f} |")
        peer.process.stdin.close()
        peer.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--quantizers", default="0,6,7,1,3,4,5", help="numbers of kith.h")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    quantizers = [int(number) for number in options.quantizers.split(",")]
    with tempfile.TemporaryDirectory() as work:
        for spec in options.sets:
            table(options.peer, spec, quantizers, options.rounds, Path(work))


if __name__ == "__main__":
    main()

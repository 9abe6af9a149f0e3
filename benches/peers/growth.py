"""How does building grow? Steps that take minutes to hours, each with a table; vectors are made as they are needed (`lowrank.py`).

    growth.py --only growth,one,wide,bytes [--small] [--threads 2]

growth  125,000 to 1,000,000 x 128 in one batch: seconds, vectors a second, times per doubling; on one thread, too. hnswlib (M 16,
        ef_construction 200) on the two smallest, and what its own growth makes of that for the others.
one     10,000 vectors one by one behind 100,000 and behind 1,000,000 x 128, from all threads, beside hnswlib's `add_items` where that has the same.
wide    1,000,000 x 1024 in pieces (`kith_insert_from`) within `--limit` bytes: seconds without those of the function that makes the vectors,
        the most memory that was held, recall.
bytes   1,000,000 and 10,000,000 x 64 as bytes, in pieces: the same, and growth.

`--small` takes a fiftieth of every count, to see that all of it runs. Time is wall time and says nothing where other programs run. Recall is of
10 among the 10 nearest of 200 queries, exact ones found while the vectors are made. `--m` and `--quantizer` as for peers.py. hnswlib is left out where it is not
installed.
"""
from __future__ import annotations

import argparse
import ctypes as c
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kith
import numpy as np
from lowrank import BLOCK, Model

K, QUERIES = 10, 200
EFS = (20, 40, 80, 160)
# For 8-bit vectors: what a component of unit vectors is multiplied with, and where zero lies.
STEPS, ZERO = 420, 128


def status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """From here on the kernel counts the most memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


class Source:
    """Vectors of a set in order, and the exact neighbours of its queries among those that were taken."""

    def __init__(self, dim: int, as_bytes: bool = False) -> None:
        self.model, self.as_bytes = Model(dim), as_bytes
        self.dim, self.type = dim, np.uint8 if as_bytes else np.float32
        self.queries = self.made(0, queries=True)[:QUERIES]
        self.number, self.left = 0, np.empty((0, dim), self.type)
        self.near = np.full((QUERIES, K), np.inf), np.full((QUERIES, K), -1, np.int64)
        self.taken, self.seconds = 0, 0.0

    def made(self, number: int, queries: bool = False) -> np.ndarray:
        block = self.model.block(number, queries)
        return np.clip(np.rint(block * STEPS + ZERO), 0, 255).astype(np.uint8) if self.as_bytes else block

    def take(self, count: int) -> np.ndarray:
        start = time.perf_counter()
        parts, have = [self.left], len(self.left)
        while have < count:
            parts.append(self.made(self.number))
            self.number, have = self.number + 1, have + BLOCK
        rows = np.concatenate(parts)
        rows, self.left = rows[:count], rows[count:].copy()
        self.look(rows)
        self.taken += count
        self.seconds += time.perf_counter() - start
        return rows

    def look(self, rows: np.ndarray) -> None:
        for first in range(0, len(rows), 64 * BLOCK):
            some = rows[first:first + 64 * BLOCK].astype(np.float32)
            apart = (some * some).sum(1) - 2 * (self.queries.astype(np.float32) @ some.T)
            best = np.argpartition(apart, K, axis=1)[:, :K] if len(some) > K else np.argsort(apart, axis=1)
            far = np.concatenate([self.near[0], np.take_along_axis(apart, best, 1)], axis=1)
            keys = np.concatenate([self.near[1], best + self.taken + first], axis=1)
            order = np.argsort(far, axis=1, kind="stable")[:, :K]
            self.near = np.take_along_axis(far, order, 1), np.take_along_axis(keys, order, 1)

    def recall(self, found: np.ndarray) -> float:
        pairs = zip(found.tolist(), self.near[1].tolist(), strict=True)
        return sum(len(set(a) & set(b)) for a, b in pairs) / (K * QUERIES)


class Index(kith.Kith):
    """A graph from the start, which takes vectors in pieces and one by one, too."""

    read_fn = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_size_t, c.c_size_t, c.POINTER(c.c_uint64), c.c_void_p)

    def __init__(self, source: Source, args: argparse.Namespace, limit: int = 0) -> None:
        super().__init__(m=args.m, quantizer=args.quantizer, kind="graph", element="u8" if source.as_bytes else "f32",
                         library=args.library)
        self.source = source
        options = kith.Options(size=c.sizeof(kith.Options), **self.settings, dimensions=source.dim, metric=0)
        self.must(self.lib.kith_create(c.byref(options), c.byref(self.handle)))
        if limit:
            self.must(self.lib.kith_set_memory_limit(self.handle, c.c_uint64(limit)))

    def close(self) -> None:
        self.lib.kith_free(self.handle)

    def batch(self, first: int, vectors: np.ndarray, threads: int) -> None:
        keys, how = np.arange(first, first + len(vectors), dtype=np.uint64), self.how(threads)
        self.must(self.lib.kith_insert_batch(self.handle, c.c_size_t(len(keys)), keys.ctypes, vectors.ctypes,
                                             c.c_size_t(0), c.byref(how)))

    def pieces(self, first: int, count: int, threads: int) -> None:
        def read(_ctx: int, at: int, number: int, keys: Any, vectors: int) -> int:
            rows = self.source.take(number)
            np.ctypeslib.as_array(keys, (number,))[:] = np.arange(first + at, first + at + number)
            c.memmove(vectors, rows.ctypes.data, rows.nbytes)
            return 0

        how = self.how(threads)
        self.must(self.lib.kith_insert_from(self.handle, c.c_size_t(count), self.read_fn(read), None, c.byref(how)))

    def singly(self, first: int, vectors: np.ndarray, threads: int) -> None:
        """Each thread takes every n-th; a call is made without the interpreter's lock."""
        def work(thread: int) -> None:
            for i in range(thread, len(vectors), threads):
                self.must(self.lib.kith_insert(self.handle, c.c_uint64(first + i), c.c_void_p(vectors[i].ctypes.data)))

        together([lambda thread=thread: work(thread) for thread in range(threads)])

    def how(self, threads: int) -> kith.BuildOptions:
        return kith.BuildOptions(size=c.sizeof(kith.BuildOptions), threads=threads)

    def recalls(self) -> str:
        found = [self.search(self.source.queries, K, ef, 1) for ef in EFS]
        return " ".join(f"{self.source.recall(keys):.4f}" for keys in found)


def together(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def hnswlib_index(dim: int, most: int, threads: int) -> Any:
    try:
        import hnswlib
    except ImportError:
        return None
    index = hnswlib.Index("l2", dim)
    index.init_index(most, ef_construction=200, M=16)
    index.set_num_threads(threads)
    return index


def growth(args: argparse.Namespace) -> Iterator[str]:
    counts = [args.scaled(125_000 << i) for i in range(4)]
    yield "| vectors | kith, s | per second | times the half | one thread, s | two of one | hnswlib, s | times kith's |"
    yield "|---|---|---|---|---|---|---|---|"
    base = Source(128).take(counts[-1])
    before: dict[str, float] = {}
    for number, count in enumerate(counts):
        seconds = {}
        for threads in (args.threads, 1):
            index = Index(Source(128), args)
            seconds[threads] = timed(lambda: index.batch(0, base[:count], threads))  # noqa: B023
            index.close()
        peer, told = None, ""
        if number < 2 and (peer := hnswlib_index(128, count, args.threads)) is not None:
            taken = timed(lambda: peer.add_items(base[:count]))  # noqa: B023
            before["rate"] = taken / before["peer"] if number else 2.0
        elif "peer" in before:
            taken, told = before["peer"] * before["rate"], " (by its growth)"
        else:
            taken = float("nan")
        if taken == taken:
            before["peer"] = taken
        kith_s, one = seconds[args.threads], seconds[1]
        yield (f"| {count:,} | {kith_s:.2f} | {count / kith_s:,.0f} | {kith_s / before.get('kith', float('nan')):.2f} | "
               f"{one:.2f} | {one / kith_s:.2f} | {taken:.1f}{told} | {taken / kith_s:.1f} |")
        before["kith"] = kith_s


def one(args: argparse.Namespace) -> Iterator[str]:
    more = args.scaled(10_000)
    yield f"| behind | {more:,} one by one, us each | recall at ef {EFS} | hnswlib, us each | times kith's |"
    yield "|---|---|---|---|---|"
    for there in (args.scaled(100_000), args.scaled(1_000_000)):
        source = Source(128)
        base, own = source.take(there), source.take(more)
        index = Index(source, args)
        index.batch(0, base, args.threads)
        taken = timed(lambda: index.singly(there, own, args.threads)) / more * 1e6  # noqa: B023
        recalls = index.recalls()
        index.close()
        # Building hnswlib's of the larger one takes too long.
        peer = hnswlib_index(128, there + more, args.threads) if there == args.scaled(100_000) else None
        theirs = float("nan")
        if peer is not None:
            peer.add_items(base)
            theirs = timed(lambda: peer.add_items(own)) / more * 1e6  # noqa: B023
        yield f"| {there:,} | {taken:.0f} | {recalls} | {theirs:.0f} | {theirs / taken:.1f} |"


def in_pieces(args: argparse.Namespace, counts: list[int], source: Callable[[], Source], limit: int) -> Iterator[str]:
    yield f"| vectors | seconds, without making them | per second | times the half or tenth | most memory | held | recall at ef {EFS} |"
    yield "|---|---|---|---|---|---|---|"
    before = float("nan")
    for count in counts:
        vectors = source()
        forget_peak()
        resident = status("VmRSS")
        index = Index(vectors, args, limit)
        taken = timed(lambda: index.pieces(0, count, args.threads)) - vectors.seconds  # noqa: B023
        peak, held = status("VmHWM") - resident, index.describe().bytes
        yield (f"| {count:,} | {taken:.1f} | {count / taken:,.0f} | {taken / before:.2f} | {peak / 1e9:.2f} GB | "
               f"{held / 1e9:.2f} GB | {index.recalls()} |")
        index.close()
        before = taken


def wide(args: argparse.Namespace) -> Iterator[str]:
    return in_pieces(args, [args.scaled(1_000_000)], lambda: Source(1024), args.limit)


def in_bytes(args: argparse.Namespace) -> Iterator[str]:
    return in_pieces(args, [args.scaled(1_000_000), args.scaled(10_000_000)], lambda: Source(64, as_bytes=True), 0)


STEPS_OF = {"growth": growth, "one": one, "wide": wide, "bytes": in_bytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(STEPS_OF))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=lambda text: int(float(text)), default=0, metavar="BYTES")
    parser.add_argument("--m", type=int, default=0)
    parser.add_argument("--quantizer", default="auto")
    parser.add_argument("--library", default="")
    args = parser.parse_args()
    args.scaled = lambda count: count // 50 if args.small else count
    for name in args.only.split(","):
        if name not in STEPS_OF:
            sys.exit(f"growth.py: --only takes {', '.join(STEPS_OF)}")
        print(f"\n{name}\n", flush=True)
        for line in STEPS_OF[name](args):
            print(line, flush=True)


if __name__ == "__main__":
    main()

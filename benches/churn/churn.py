"""How does an index fare whose vectors come and go? kith beside hnswlib, each round held against a fresh build of the same vectors.

    churn.py                                      a small run on made-up vectors, anywhere
    churn.py --base base.npy --query query.npy --count 200000 --rounds 20
    churn.py ... --work shrink                    removes nine tenths instead
    churn.py ... --work stream --rounds 40        a window moves over the base instead

*replace*: a round gives every key, in random order, a new vector, which comes from the rest of the base (so the vectors are different ones, the
distribution is the same). *shrink*: nine of ten keys go, in random order, one by one; *remove*: some; *stream*: in each of
`--rounds` steps a tenth of the index comes in and the oldest tenth goes, one by one, and then there are searches (in the manner of the streaming track
of big-ann-benchmarks). Recall is of 10 among the 10 nearest, exact ones
computed here. Searches for recall and rate come between the rounds; `--beside` runs a thread that searches all the while.
"""
from __future__ import annotations

import argparse
import ctypes as c
import json
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))
import kith  # noqa: E402

K = 10


class Info(c.Structure):
    _fields_ = [("size", c.c_uint32), ("reserved", c.c_uint32),
                *((name, c.c_uint64) for name in ("linked", "links", "unreachable", "faults", "min_inbound", "max_inbound"))]


class Kith(kith.Kith):
    """The calls of a changing index, one by one through the C ABI."""

    name = "kith"

    def create(self, vectors: np.ndarray) -> None:
        options = kith.Options(size=c.sizeof(kith.Options), **self.settings, dimensions=vectors.shape[1], metric=0)
        self.must(self.lib.kith_create(c.byref(options), c.byref(self.handle)))

    def build_singly(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        self.create(vectors)
        for key, vector in zip(keys.tolist(), vectors, strict=True):
            self.replace(key, vector)

    def build_keys(self, keys: np.ndarray, vectors: np.ndarray, threads: int) -> None:
        self.create(vectors)
        how = kith.BuildOptions(size=c.sizeof(kith.BuildOptions), threads=threads)
        keys, vectors = keys.astype(np.uint64), self.fit(vectors)
        self.must(self.lib.kith_insert_batch(self.handle, c.c_size_t(len(keys)), keys.ctypes, vectors.ctypes,
                                             c.c_size_t(0), c.byref(how)))

    def replace(self, key: int, vector: np.ndarray) -> None:
        self.must(self.lib.kith_upsert(self.handle, c.c_uint64(key), c.c_void_p(vector.__array_interface__["data"][0])))

    insert = replace

    def remove(self, key: int) -> None:
        self.must(self.lib.kith_remove(self.handle, c.c_uint64(key)))

    def maintain(self) -> int:
        pending = c.c_uint64()
        self.must(self.lib.kith_maintain(self.handle, c.c_uint64(2**64 - 1), c.byref(pending)))
        return pending.value

    def compact(self) -> None:
        self.must(self.lib.kith_compact(self.handle, None))

    def health(self) -> str:
        info, check = self.describe(), Info(size=c.sizeof(Info))
        self.must(self.lib.kith_check(self.handle, c.byref(check)))
        return (f"{info.bytes / max(info.count, 1):,.0f} B/vector, {info.removed} waiting, {check.unreachable} unreachable, "
                f"{check.faults} faults, least in-degree {check.min_inbound}, {check.links / max(check.linked, 1):.2f} links each")

    def held(self) -> int:
        return self.describe().bytes

    def free(self) -> None:
        self.lib.kith_free(self.handle)


class Hnswlib:
    """hnswlib with allow_replace_deleted: a replacement marks the old element deleted and adds the new one in a deleted one's place."""

    name = "hnswlib"

    def __init__(self, m: int, efc: int) -> None:
        import hnswlib

        self.module, self.m, self.efc = hnswlib, m, efc

    def build_keys(self, keys: np.ndarray, vectors: np.ndarray, threads: int) -> None:
        self.index = self.module.Index("l2", vectors.shape[1])
        # One place more, as an element is replaced by marking it and adding the new one.
        self.index.init_index(len(keys) + 1, self.efc, self.m, allow_replace_deleted=True)
        self.index.add_items(vectors, keys, num_threads=threads)
        self.label = dict(zip(keys.tolist(), keys.tolist(), strict=True))
        self.key = dict(self.label)
        self.next = int(keys.max()) + 1

    def replace(self, key: int, vector: np.ndarray) -> None:
        # Under a new label: one that is deleted and added again would be revived in place.
        old = self.label[key]
        self.index.mark_deleted(old)
        del self.key[old]
        self.index.add_items(vector[None], [self.next], num_threads=1, replace_deleted=True)
        self.label[key], self.key[self.next] = self.next, key
        self.next += 1

    def insert(self, key: int, vector: np.ndarray) -> None:
        self.index.add_items(vector[None], [key], num_threads=1, replace_deleted=True)
        self.label[key] = self.key[key] = key

    def remove(self, key: int) -> None:
        self.index.mark_deleted(self.label[key])

    def search(self, queries: np.ndarray, k: int, ef: int, threads: int) -> np.ndarray:
        self.index.set_ef(ef)
        try:
            labels, _ = self.index.knn_query(queries, k, num_threads=threads)
        except RuntimeError:  # fewer than k
            return np.full((len(queries), k), -1)
        return np.vectorize(lambda label: self.key.get(label, -1))(labels.astype(np.int64))

    def maintain(self) -> int:
        return 0

    def compact(self) -> None:
        pass

    def health(self) -> str:
        return ""

    def held(self) -> int:
        return 0

    def free(self) -> None:
        pass


def truth(base: np.ndarray, keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
    squares = (base * base).sum(1)
    best = []
    for query in queries:
        distances = squares - 2 * (base @ query)
        nearest = np.argpartition(distances, K)[:K]
        best.append(keys[nearest])
    return np.array(best)


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def look(engine, queries: np.ndarray, exact: np.ndarray, efs: list[int]) -> dict:
    result = {}
    for ef in efs:
        engine.search(queries[:100], K, ef, 1)
        used = time.process_time()
        found = engine.search(queries, K, ef, 1)
        result[ef] = (recall(found, exact), len(queries) / (time.process_time() - used))
    return result


def tell(who: str, when: str, seen: dict, extra: str = "") -> None:
    points = "  ".join(f"ef {ef}: {r:.4f} at {rate:,.0f}/s" for ef, (r, rate) in seen.items())
    print(f"{who:8} {when:14} {points}  {extra}", flush=True)


def beside(engine, queries: np.ndarray, over: threading.Event) -> None:
    at = 0
    while not over.is_set():
        engine.search(queries[at:at + 1], K, 64, 1)
        at = (at + 1) % len(queries)


def steps(engine, work: list, took: np.ndarray) -> None:
    for i, call in enumerate(work):
        start = time.perf_counter_ns()
        call()
        took[i] = time.perf_counter_ns() - start


def fresh(make, keys: np.ndarray, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray, args, singly: bool) -> tuple[dict, int, str]:
    engine = make()
    if singly:
        engine.build_singly(keys, vectors)
    else:
        engine.build_keys(keys, vectors, args.threads)
    seen, held, health = look(engine, queries, exact, args.ef), engine.held(), engine.health()
    engine.free()
    return seen, held, health


def rates(make, engine, keys: np.ndarray, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray, args) -> None:
    """The best rate of several looks at the shrunken index and at a fresh one of the same vectors, in turns."""
    other = make()
    other.build_keys(keys, vectors, args.threads)
    best: dict = {}
    for _ in range(7):
        for who, it in (("shrunken", engine), ("fresh", other)):
            for ef, (_, rate) in look(it, queries, exact, args.ef).items():
                best[who, ef] = max(rate, best.get((who, ef), 0))
    shares = "  ".join(f"ef {ef}: {best['shrunken', ef] / best['fresh', ef]:.3f}" for ef in args.ef)
    print(f"{engine.name:8} rate of a fresh build's, best of 7 in turns: {shares}", flush=True)
    other.free()


def stream(make, base: np.ndarray, queries: np.ndarray, args) -> None:
    """A window of `--count` vectors over the base, from end to end and round again."""
    piece, engine, seen, took = args.count // 10, make(), [], []
    first = np.arange(args.count)
    engine.build_keys(first, base[first], args.threads)
    for step in range(args.rounds):
        start = args.count + step * piece
        coming, used = np.arange(start, start + piece), time.process_time()
        for key in coming.tolist():
            engine.remove(key - args.count)
            engine.insert(key, base[key % len(base)])
        took.append((time.process_time() - used) / piece)
        if sum(took) * piece > args.patience * 60:
            print(f"{engine.name:8} stops after step {step + 1}: {args.patience} minutes are over", flush=True)
            break
        keys = np.arange(start + piece - args.count, start + piece)
        seen.append(look(engine, queries, truth(base[keys % len(base)], keys, queries), args.ef))
    for ef in args.ef:
        recalls = [step[ef][0] for step in seen]
        print(f"{engine.name:8} ef {ef}: recall {np.mean(recalls):.4f} on the average, {min(recalls):.4f} at least, {recalls[-1]:.4f} last", flush=True)
    print(f"{engine.name:8} {np.mean(took) * 1e6:.0f} us CPU for one that comes and one that goes; {engine.health()}", flush=True)
    engine.free()


def run(make, base: np.ndarray, queries: np.ndarray, args) -> None:
    random = np.random.default_rng(7)
    count, keys = args.count, np.arange(args.count)
    current = np.arange(count)  # per key the row of the base that is its vector
    engine = make()
    start = time.process_time()
    engine.build_keys(keys, base[:count], args.threads)
    built = time.process_time() - start
    exact = truth(base[:count], keys, queries)
    first = look(engine, queries, exact, args.ef)
    held = engine.held()
    tell(engine.name, "built", first, f"{built:.0f} s CPU; {engine.health()}")
    over = threading.Event()
    searcher = threading.Thread(target=beside, args=(engine, queries, over))
    if args.beside:
        searcher.start()
    began = time.process_time()
    if args.work == "replace":
        spare = np.setdiff1d(np.arange(len(base)), current) if len(base) > count else current.copy()
        for number in range(1, args.rounds + 1):
            order = random.permutation(count)
            chosen = random.choice(spare, count, replace=len(spare) < count)
            spare = np.concatenate([np.setdiff1d(spare, chosen), current]) if len(base) > count else spare
            took, used = np.empty(count), time.process_time()
            steps(engine, [lambda key=int(key), row=int(row): engine.replace(key, base[row])
                           for key, row in zip(order, chosen, strict=True)], took)
            used = time.process_time() - used
            current[order] = chosen
            exact = truth(base[current], keys, queries)
            tell(engine.name, f"round {number}", look(engine, queries, exact, args.ef),
                 f"{used / count * 1e6:.0f} us CPU, median {np.median(took) / 1e3:.0f} us, p99 {np.percentile(took, 99) / 1e3:.0f} us; "
                 f"{engine.health()}")
            if time.process_time() - began > args.patience * 60:
                print(f"{engine.name:8} stops after round {number}: {args.patience} minutes are over", flush=True)
                break
    else:
        gone = random.permutation(count)[: min(args.few, count) if args.work == "remove" else count * 9 // 10]
        took, used = np.empty(len(gone)), time.process_time()
        steps(engine, [lambda key=int(key): engine.remove(key) for key in gone], took)
        used = time.process_time() - used
        keys = np.setdiff1d(keys, gone)
        current = keys
        exact = truth(base[keys], keys, queries)
        timing = f"median {np.median(took) / 1e3:.1f} us, p99 {np.percentile(took, 99) / 1e3:.0f} us, {used / len(gone) * 1e6:.0f} us CPU each"
        name = f"{len(gone)} go" if args.work == "remove" else "nine tenths go"
        tell(engine.name, name, look(engine, queries, exact, args.ef), f"{timing}; {engine.health()}")
        if args.work == "remove":
            return engine.free()
        used = time.process_time()
        left = engine.maintain()
        tell(engine.name, "maintained", look(engine, queries, exact, args.ef),
             f"{time.process_time() - used:.1f} s CPU, {left} left; {engine.health()}")
        rates(make, engine, keys, base[keys], queries, exact, args)
        used = time.process_time()
        engine.compact()
        tell(engine.name, "compacted", look(engine, queries, exact, args.ef), f"{time.process_time() - used:.1f} s CPU; {engine.health()}")
    over.set()
    if args.beside:
        searcher.join()
    now = engine.held()
    if hasattr(engine, "build_singly"):
        # As changes come: in a batch there is more to choose from.
        order = random.permutation(len(keys))
        seen, _, health = fresh(make, keys[order], base[current][order], queries, exact, args, singly=True)
        tell(engine.name, "fresh, by ones", seen, health)
    seen, rebuilt, health = fresh(make, keys, base[current], queries, exact, args, singly=False)
    tell(engine.name, "fresh build", seen, f"memory {now / max(rebuilt, 1):.3f} of the fresh one's, was {held / max(rebuilt, 1):.3f}; {health}")
    engine.free()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help=".npy of vectors; made up if it is missing")
    parser.add_argument("--query", help=".npy of queries")
    parser.add_argument("--count", type=int, default=5_000, help="vectors in the index")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=["replace", "shrink", "remove", "stream"], default="replace")
    parser.add_argument("--few", type=int, default=5_000, help="how many go with --work remove")
    parser.add_argument("--engines", default="kith,hnswlib")
    parser.add_argument("--ef", type=lambda text: [int(ef) for ef in text.split(",")], default=[32, 64])
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--efc", type=int, default=0, help="0: each library's own")
    parser.add_argument("--threads", type=int, default=2, help="of the builds")
    parser.add_argument("--patience", type=float, default=1e9, help="minutes of processor time after which a library changes no more")
    parser.add_argument("--quantizer", default="none")
    parser.add_argument("--library", default="", help="a libkith.so; default: what make lib built")
    parser.add_argument("--beside", action="store_true", help="search from another thread all the while")
    args = parser.parse_args()
    if args.base:
        base = np.ascontiguousarray(np.load(args.base, mmap_mode="r"), np.float32)
        queries = np.ascontiguousarray(np.load(args.query, mmap_mode="r")[: args.queries], np.float32)
    else:
        random = np.random.default_rng(1)
        centres = random.normal(size=(50, 32)).astype(np.float32) * 2
        made = centres[random.integers(0, 50, 4 * args.count)] + random.normal(size=(4 * args.count, 32)).astype(np.float32)
        base, queries = made, made[random.permutation(len(made))[: args.queries]] + np.float32(0.1)
    makers = {"kith": lambda: Kith(m=args.m, efc=args.efc, quantizer=args.quantizer, kind="graph", library=args.library),
              "hnswlib": lambda: Hnswlib(args.m, args.efc or 200)}
    print(json.dumps(vars(args)))
    for name in args.engines.split(","):
        (stream if args.work == "stream" else run)(makers[name], base, queries, args)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()

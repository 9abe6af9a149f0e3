"""One engine in a process of its own: builds (or loads), then times what it is asked for.

    worker.py --engine SPEC --base base.npy --query query.npy --metric l2|cosine|ip --k K --threads T

Prints JSON, one object a line. First {"build_seconds", "rss_bytes", "peak_bytes", "version", ...}. Then, for each line on stdin (a JSON
array of search parameters), per parameter {"param", "qps", "ids_file", "p50_us", "p99_us"}, the last three but ids_file also with
cpu_ in front (processor time), and {"end": true}. Ends with stdin. `benches/peer.rs` and any command of `--external` speak the same;
only param, qps and ids_file (int64 .npy, one row per query) must be there.

Memory is what RssAnon and RssShmem grow by: the vectors come in a mapped file, which counts as neither.
"""
from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from engine import Engine, make, version

WARM_UP = 100  # queries, before the clock starts: another engine had the caches
SINGLE_CALLS = 500


def memory(*names: str) -> int:
    """Sum of lines of /proc/self/status, in bytes."""
    lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(value.split()[0]) * 1024 for name, value in lines if name in names)


def time_batches(engine: Engine, queries: np.ndarray, k: int, param: Any, threads: int, seconds: float) -> dict[str, Any]:
    """Passes over all queries for so many seconds: queries per second, by the clock and by processor time."""
    engine.search(queries[:WARM_UP], k, param, threads)
    passes, start, used = 0, time.perf_counter(), time.process_time()
    while True:
        ids = engine.search(queries, k, param, threads)
        passes, spent = passes + 1, time.perf_counter() - start
        if spent >= seconds:
            break
    asked = passes * len(queries)
    return {"qps": asked / spent, "cpu_qps": asked / max(time.process_time() - used, 1e-9), "ids": ids}


def time_calls(engine: Engine, queries: np.ndarray, k: int, param: Any) -> dict[str, float]:
    """One call per query, the binding's overhead included. By the clock, and by processor time, which other programs delay less."""
    took = np.empty((2, min(len(queries), SINGLE_CALLS)))
    for i, query in enumerate(queries[:SINGLE_CALLS]):
        used, start = time.process_time(), time.perf_counter()
        engine.one(query, k, param)
        took[0, i] = time.perf_counter() - start
        took[1, i] = time.process_time() - used
    clocks = zip(("", "cpu_"), took, strict=True)
    return {f"{clock}p{share}_us": float(np.percentile(times, share)) * 1e6 for clock, times in clocks for share in (50, 99)}


def give_back() -> None:
    """What was freed goes back to the system, so that it is not counted."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def prepare(args: argparse.Namespace, base: np.ndarray) -> tuple[Engine, dict[str, Any]]:
    """The engine with its index, built or loaded, and what that took."""
    os.environ["RAYON_NUM_THREADS"] = str(args.build_threads)  # kannolo has no other knob
    engine = make(args.engine)
    if engine.module:
        importlib.import_module(engine.module)
    kept = Path(args.keep) if args.keep and engine.keeps else None
    facts = kept.with_suffix(".json") if kept else None
    give_back()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before, resident = memory("RssAnon", "RssShmem"), memory("VmRSS")
    start = time.perf_counter()
    loaded = bool(facts and facts.exists())
    if loaded:
        engine.load(kept, base, args.metric)
        seconds = json.loads(facts.read_text())["build_seconds"]
    else:
        engine.build(base, args.metric, args.build_threads)
        seconds = time.perf_counter() - start
    peak = memory("VmHWM") - resident
    give_back()
    said = {"build_seconds": seconds, "loaded": loaded, "rss_bytes": memory("RssAnon", "RssShmem") - before,
            "peak_bytes": peak, "batched": engine.batched, "version": version(args.engine), "note": engine.note()}
    if kept and not loaded:
        kept.parent.mkdir(parents=True, exist_ok=True)
        engine.save(kept)
        facts.write_text(json.dumps(said))
    return engine, said


def pin(cpu: int) -> None:
    """All threads of this process to one core: a search on one thread, whatever pools the library has."""
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), {cpu})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--engine", "--base", "--query", "--metric"):
        parser.add_argument(name, required=True)
    for name, default in (("--k", 10), ("--threads", 1), ("--build-threads", len(os.sched_getaffinity(0))), ("--cpu", -1)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--keep", default="", help="where the index is kept for later runs")
    args = parser.parse_args()

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries chat on stdout
    base, queries = np.load(args.base, mmap_mode="c").view(np.ndarray), np.load(args.query)
    float(base.sum())  # the mapped pages are resident from here on
    engine, said = prepare(args, base)
    if args.cpu >= 0 and args.threads == 1:
        pin(args.cpu)
    print(json.dumps(said), file=answers, flush=True)
    for line in sys.stdin:
        for param in json.loads(line) or engine.params:
            answer = {"param": param} | time_batches(engine, queries, args.k, param, args.threads, args.seconds)
            file = Path(args.base).parent / f"ids-{os.getpid()}-{param}.npy"
            np.save(file, answer.pop("ids"))
            answer["ids_file"] = str(file)
            if args.threads == 1:
                answer |= time_calls(engine, queries, args.k, param)
            print(json.dumps(answer), file=answers, flush=True)
        print('{"end": true}', file=answers, flush=True)


if __name__ == "__main__":
    main()

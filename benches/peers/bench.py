"""`make bench`: kith beside the engines that a program could use instead, in one alternating run.

    make bench                                              packages10k and 10,000 of lowrank, minutes on two cores
    make bench ARGS="--sets siftsmall/ gist.hdf5:n=100000"  on your own files; see benches/peers/sets.py
    make bench ARGS="--engines kith kith:m=24 hnswlib faiss:codes=SQ8"

Writes index.md (tables), SET.json (everything measured) and SET.svg (recall against queries per second) to --out.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import contest
import engine
import kith
import peers
import plot
import report
import sets

HERE = Path(__file__).resolve().parent
CORES = sorted(os.sched_getaffinity(0))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--sets", nargs="+", default=["packages10k", "lowrank:n=10000"], metavar="SET", help="NAME or PATH, with :key=value,...")
    add("--engines", nargs="+", metavar="ENGINE", default=["kith", "best"],
        help=f"NAME:key=value,... or a line-up ({', '.join(peers.LINE_UPS)}); default: kith best")
    add("--external", action="append", default=[], metavar="NAME=COMMAND", help="any command that speaks worker.py's protocol")
    add("--external-params", default=",".join(map(str, engine.EF)), help="its search parameters")
    add("--out", type=Path, default=kith.TARGET / "bench" / "report")
    add("--keep", type=Path, help="folder to keep indexes in, where an engine can save one; later runs load them")
    add("--rounds", type=int, default=3)
    add("--repeat", choices=("targets", "all"), default="targets",
        help="which parameters the rounds after the first repeat: those around the recalls of the tables, or all")
    add("--seconds", type=float, default=0.2, help="least time for one parameter in one round")
    add("--threads", type=int, default=1, help="1: searches pinned to --cpu; more: one call for all queries")
    add("--k", type=int, default=10)
    add("--cpu", type=int, default=CORES[-1])
    add("--clock", choices=report.CLOCKS, default="wall", help="cpu: processor time, for machines that do other work")
    add("--build-limit", type=float, default=900, help="seconds")
    add("--cache", type=Path, default=kith.TARGET / "bench" / "data", help="made vectors and exact answers")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    return args


def lined_up(names: list[str], bytes_only: bool) -> list[str]:
    out: list[str] = []
    for name in names:
        out += peers.line_up(name, bytes_only) if name in peers.LINE_UPS else [name]
    return list(dict.fromkeys(out))


def contender(args: argparse.Namespace, name: str, data: sets.Set) -> contest.Contender:
    common = ["--metric", data.metric, "--k", str(args.k), "--threads", str(args.threads)]
    command = [sys.executable, str(HERE / "worker.py"), "--engine", name, "--base", str(data.base), "--query",
               str(data.queries), "--seconds", str(args.seconds), "--cpu", str(args.cpu), *common]
    if args.keep:
        kind, options = sets.split(name)
        options.pop("library", None)  # builds of kith read each other's files, so they can be compared on one graph
        digest = hashlib.sha256(f"{data.name} {data.n} {data.dim} {data.metric} {kind} {options}".encode()).hexdigest()[:16]
        command += ["--keep", str(args.keep / digest)]
    return contest.Contender(name, command, engine.make(name).params)


def external(args: argparse.Namespace, text: str, data: sets.Set) -> contest.Contender:
    name, _, command = text.partition("=")
    words = [*shlex.split(command), "--base", str(data.raw_base), "--query", str(data.raw_queries), "--metric",
             data.metric, "--k", str(args.k), "--threads", str(args.threads)]
    if args.threads == 1:
        words = ["taskset", "-c", str(args.cpu), *words]
    params = [float(param) if "." in param else int(param) for param in args.external_params.split(",")]
    return contest.Contender(name, words, params)


def missing(name: str) -> str:
    """Why an engine cannot take part; empty if it can."""
    try:
        engine.version(name)
    except ImportError:
        return f"{engine.make(name).package} is not installed (make bench-peers)"
    return ""


def compare(args: argparse.Namespace, text: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=args.cache) as scratch:
        data = sets.load(text, args.k, args.cache, Path(scratch))
        print(f"{data.name}: {data.n:,} x {data.dim}, {data.metric}, {data.truth.shape[0]} queries", file=sys.stderr)
        names = lined_up(args.engines, data.bytes_only)
        absent = {name: reason for name in names if (reason := missing(name))}
        for name, reason in absent.items():
            print(f"  {name}: {reason}", file=sys.stderr)
        contenders = [contender(args, name, data) for name in names if name not in absent]
        contenders += [external(args, text, data) for text in args.external]
        repeat = report.TARGETS if args.repeat == "targets" else ()
        contest.run(contenders, data, args.rounds, repeat, args.build_limit)
        found = report.result(contenders, data, args.k, args.threads, args.rounds, args.clock)
        found["failed"] |= absent
    args.out.mkdir(parents=True, exist_ok=True)
    report.save(found, args.out / f"{data.name}.json")
    (args.out / f"{data.name}.svg").write_text(plot.draw(found))
    return found


def main() -> None:
    args = arguments()
    for name in lined_up(args.engines, True) + lined_up(args.engines, False):
        engine.make(name)  # a wrong spec ends here, before hours of work
    results = []
    command = "make bench" + (f' ARGS="{shlex.join(sys.argv[1:])}"' if sys.argv[1:] else "")
    for text in args.sets:
        results.append(compare(args, text))
        (args.out / "index.md").write_text(report.page(results, command))
        print(f"\n{report.standing(results[-1])}\n{report.table(results[-1])}", flush=True)
    print(f"written to {args.out}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves by way of every `finally`
    try:
        main()
    except ValueError as error:
        sys.exit(f"make bench: {error}")

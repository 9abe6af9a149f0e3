"""What do the measurements say? The figures read off them, tables in Markdown, and the lines of JSON.

Queries per second at a recall are read off an engine's frontier (the points that no other of its points beats in both), log-linear
between two of them. Every multiple is of the yardstick, hnswlib where it took part.
"""
from __future__ import annotations

import datetime
import json
import math
import os
import platform
from pathlib import Path
from typing import Any

from contest import Contender, Point
from sets import Set

TARGETS = (0.90, 0.95, 0.99)
CLOCKS = {"wall": "", "cpu": "cpu_"}  # what their figures begin with


def machine() -> str:
    lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    model = next((value.strip() for name, value in lines.items() if name.startswith("model name")), platform.machine())
    flags = next((value.split() for name, value in lines.items() if name.startswith("flags")), [])
    level = next((name for flag, name in (("avx512_vnni", "AVX-512 VNNI"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))
                  if flag in flags), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [model, level, f"{len(os.sched_getaffinity(0))} cores", f"{memory:.0f} GiB", platform.system()]
    return ", ".join(part for part in parts if part)


def frontier(points: dict[str, Point], clock: str) -> list[tuple[float, float, str]]:
    """(recall, queries per second, parameter) by rising recall."""
    best: list[tuple[float, float, str]] = []
    rows = [(point.recall, point.best(CLOCKS[clock] + "qps") or 0.0, name) for name, point in points.items()]
    for row in sorted(rows, key=lambda row: (-row[0], -row[1])):
        if not best or row[1] > best[-1][1]:
            best.append(row)
    return best[::-1]


def at_recall(line: list[tuple[float, float, str]], target: float) -> float | None:
    """Of a frontier. None where the engine does not get so far."""
    above = next((i for i, row in enumerate(line) if row[0] >= target), None)
    if above is None:
        return None
    if above == 0:
        return line[0][1]
    (r0, q0, _), (r1, q1, _) = line[above - 1], line[above]
    return math.exp(math.log(q0) + math.log(q1 / q0) * (target - r0) / (r1 - r0))


def measured(one: Contender, clock: str) -> dict[str, Any]:
    """Everything about one engine, for the JSON file and the tables."""
    line = frontier(one.points, clock)
    late = next((row for row in line if row[0] >= 0.95), None)  # the fastest parameter that reaches 0.95
    point = one.points[late[2]] if late else None
    return one.built | {
        "qps_at": {f"{target:.2f}": at_recall(line, target) for target in TARGETS},
        "p50_us": point.best(CLOCKS[clock] + "p50_us") if point else None,
        "p99_us": point.best(CLOCKS[clock] + "p99_us") if point else None,
        "param": late[2].strip('"') if late else None,
        "lowest_recall": line[0][0] if line else None,
        "points": {name: vars(point) for name, point in one.points.items()},
    }


def result(contenders: list[Contender], data: Set, k: int, threads: int, rounds: int, clock: str) -> dict[str, Any]:
    done = {one.name: measured(one, clock) for one in contenders if not one.failure}
    yardstick = next((name for name in ("hnswlib", "faiss-flat") if name in done), next(iter(done), None))
    return {"set": data.name, "n": data.n, "dim": data.dim, "metric": data.metric, "k": k, "threads": threads,
            "rounds": rounds, "clock": clock, "machine": machine(), "date": datetime.date.today().isoformat(),
            "yardstick": yardstick, "engines": done,
            "failed": {one.name: one.failure for one in contenders if one.failure}}


def save(found: dict[str, Any], path: Path) -> None:
    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(part) for key, part in value.items()}
        if isinstance(value, list):
            return [rounded(part) for part in value]
        return float(f"{value:.5g}") if isinstance(value, float) else value

    path.write_text(json.dumps(rounded(found), indent=0, separators=(",", ":")) + "\n")


def title(found: dict[str, Any]) -> str:
    return f"{found['set']}: {found['n']:,} x {found['dim']}, {found['metric']}"


def table(found: dict[str, Any]) -> str:
    """One line per engine, the fastest at 0.95 first. Bold: the best of a column."""
    engines, base = found["engines"], found["engines"].get(found["yardstick"])
    if not base:
        return failures(found)
    columns = {f"QPS at {t:.2f}": lambda e, t=t: e["qps_at"][f"{t:.2f}"] for t in TARGETS}
    columns |= {"B/vector": lambda e: e["rss_bytes"] / found["n"], "build s": lambda e: e["build_seconds"],
                "p50 us": lambda e: e["p50_us"], "p99 us": lambda e: e["p99_us"]}
    best = {}
    for head, value in columns.items():
        values = [value(engine) for engine in engines.values() if value(engine) is not None]
        best[head] = (max if head.startswith("QPS") else min)(values, default=None)
    lines = ["| engine | " + " | ".join(columns) + " | parameter |", "|---" * (len(columns) + 2) + "|"]
    for name in sorted(engines, key=lambda name: -(engines[name]["qps_at"]["0.95"] or 0)):
        engine, cells = engines[name], []
        for head, value in columns.items():
            own, its = value(engine), value(base)
            if own is None:
                cells.append("-")
                continue
            text = f"{own:.1f}" if head == "build s" else f"{own:,.0f}"
            if its and not head.startswith("p"):
                text += f" ({own / its:.2f})"
            cells.append(f"**{text}**" if own == best[head] else text)
        mark = "" if engine.get("batched", True) else " *"
        lines.append(f"| {name}{mark} | " + " | ".join(cells) + f" | {engine['param'] or '-'} |")
    return "\n".join(lines) + "\n" + failures(found)


def failures(found: dict[str, Any]) -> str:
    return "".join(f"\n{name} is missing: {reason}\n" for name, reason in found["failed"].items())


def standing(found: dict[str, Any]) -> str:
    """kith beside the best of the others, in multiples of the yardstick."""
    base, lines = found["engines"].get(found["yardstick"]), []
    ours = [name for name in found["engines"] if name.startswith("kith")]
    others = [name for name in found["engines"] if not name.startswith("kith")]
    if not base or not ours or not others:
        return ""
    for target in (f"{t:.2f}" for t in TARGETS):
        def speed(name: str, target: str = target) -> float:
            return found["engines"][name]["qps_at"][target] or 0.0

        us, them, unit = max(ours, key=speed), max(others, key=speed), base["qps_at"][target]
        if unit and speed(us) and speed(them):
            lines.append(f"- at {target}: {us} {speed(us) / unit:.2f}, best of the others {them} {speed(them) / unit:.2f}: "
                         f"{speed(us) / speed(them):.2f} times")
    return "\n".join(lines) + "\n"


def page(results: list[dict[str, Any]], command: str) -> str:
    """The whole report."""
    first = results[0]
    versions = {name.split(":")[0]: engine.get("version", "of unknown version") for found in results for name, engine in found["engines"].items()}
    lines = [
        "# kith beside other engines", "",
        f"`{command}`", "",
        f"{first['machine']}; {first['date']}. recall@{first['k']}, {first['threads']} thread(s), best of {first['rounds']} "
        f"alternating rounds, by {'processor time' if first['clock'] == 'cpu' else 'the clock'}. In brackets: multiples of "
        f"{first['yardstick']}. p50, p99 and parameter: one call per query, with the fastest parameter that reaches 0.95. "
        "`*`: no call for many queries, so its queries per second carry its binding. A row's name is what to type after "
        "`--engines`. How it is measured: benches/peers/README.md.", "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    for found in results:
        lines += [f"## {title(found)}", "", f"![{title(found)}]({found['set']}.svg)", "", standing(found), table(found)]
        notes = [f"{name}: {engine['note']}" for name, engine in found["engines"].items() if engine.get("note")]
        lines += ["; ".join(notes) + "." if notes else "", ""]
    return "\n".join(lines)

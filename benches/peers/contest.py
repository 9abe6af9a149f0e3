"""How do engines compete fairly? All of them are alive at once, and take turns parameter by parameter.

A drift of the machine (another program, a lower clock) then falls on all alike. In the first round every engine goes up its parameters
until its recall is high enough; later rounds repeat those, or those around the recalls that the tables show. What counts is the best
round of each parameter.
"""
from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sets import Set

ENOUGH = 0.995  # recall at which the first round goes no further
ANSWER_LIMIT = 300  # seconds for one parameter


@dataclass
class Point:
    """What was measured with one search parameter, round by round."""

    recall: float
    qps: list[float] = field(default_factory=list)
    cpu_qps: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    cpu_p50_us: list[float] = field(default_factory=list)
    cpu_p99_us: list[float] = field(default_factory=list)

    def add(self, message: dict[str, Any]) -> None:
        for name in vars(self):
            if name != "recall" and name in message:
                getattr(self, name).append(message[name])

    def best(self, name: str) -> float | None:
        """Of the rounds. Who has no processor time is judged by the clock."""
        values = getattr(self, name) or getattr(self, name.removeprefix("cpu_"))
        return (max if name.endswith("qps") else min)(values, default=None)


class Contender:
    """An engine's process."""

    def __init__(self, name: str, command: list[str], params: list[Any]) -> None:
        self.name, self.command, self.params = name, command, params
        self.built: dict[str, Any] = {}
        self.points: dict[str, Point] = {}
        self.failure = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, data: Set, limit: float) -> None:
        self.data = data
        self.errors = data.base.parent / f"errors-{id(self)}"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                            text=True)
        self.built = self.read(limit)
        if "build_seconds" not in self.built:
            raise RuntimeError(f"said {self.built} before it said what the build took")

    def read(self, limit: float) -> dict[str, Any]:
        """The next message; raises when the process ends or takes too long."""
        alarm = threading.Timer(limit, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            status = self.process.wait()
            lines = [line for line in self.errors.read_text(errors="replace").splitlines() if line.strip()]
            late = f"gave no answer in {limit:.0f} s; " if status == -9 else ""
            raise RuntimeError(f"{late}{lines[-1] if lines else 'no message'} (exit status {status})")
        return json.loads(line)

    def ask(self, param: Any) -> float:
        """Times one parameter and returns its recall."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([param]) + "\n")
            self.process.stdin.flush()
        answers = []
        while "end" not in (message := self.read(ANSWER_LIMIT)):
            if "param" in message:  # anything else is a remark
                answers.append(message)
        if len(answers) != 1:
            raise RuntimeError(f"gave {len(answers)} answers about parameter {param}")
        message = answers[0]
        key = json.dumps(param)
        if key not in self.points:
            self.points[key] = Point(self.data.recall(np.load(message["ids_file"])))
        Path(message["ids_file"]).unlink(missing_ok=True)
        self.points[key].add(message)
        return self.points[key].recall

    def around(self, recalls: tuple[float, ...]) -> list[Any]:
        """The parameters measured last below and first above each recall, in their order."""
        wanted = set()
        for target in recalls:
            levels = [self.points[json.dumps(param)].recall for param in self.params]
            first = next((i for i, level in enumerate(levels) if level >= target), len(levels))
            wanted |= {max(first - 1, 0), min(first, len(levels) - 1)}
        return [self.params[i] for i in sorted(wanted)]

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process = None


def attempt(one: Contender, step: Any) -> Any:
    """One engine's failure is a result, not the end of the run."""
    try:
        return step()
    except Exception as error:
        one.stop()
        one.failure = str(error) or repr(error)
        print(f"  {one.name}: {one.failure}", file=sys.stderr, flush=True)
        return None


def take_turns(alive: list[Contender], rounds: int, repeat: tuple[float, ...]) -> None:
    for number in range(rounds):
        if number == 1 and repeat:
            for one in alive:
                one.params = one.around(repeat)
        begun = time.perf_counter()
        turn = 0
        going = list(alive)
        while going:
            for one in list(going):
                recall = attempt(one, lambda one=one: one.ask(one.params[turn])) if turn < len(one.params) else None
                if recall is None or one.failure:
                    going.remove(one)
                elif number == 0 and recall >= ENOUGH:
                    one.params = one.params[: turn + 1]
                    going.remove(one)
            turn += 1
        alive[:] = [one for one in alive if not one.failure]
        print(f"  round {number + 1} of {rounds}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)


def run(contenders: list[Contender], data: Set, rounds: int, repeat: tuple[float, ...], build_limit: float) -> None:
    """Builds one after the other, then searches in turns. What was measured is in the contenders.

    Rounds after the first time the parameters around the recalls of `repeat`; without any, all.
    """
    alive = []
    try:
        for one in contenders:
            attempt(one, lambda one=one: one.start(data, build_limit))
            if not one.failure:
                alive.append(one)
                how = "loaded, built once in" if one.built.get("loaded") else "built in"
                print(f"  {one.name}: {how} {one.built['build_seconds']:.1f} s, "
                      f"{one.built['rss_bytes'] / data.n:,.0f} B/vector", file=sys.stderr, flush=True)
        take_turns(alive, rounds, repeat)
    finally:
        for one in contenders:
            one.stop()

"""What is an engine here? One library with one set of build parameters, and what a spec like `faiss:codes=SQ8` means.

An engine is a class with
    build(base, metric, threads)        base: f32, of unit length under cosine; metric: l2, cosine or ip
    search(queries, k, param, threads)  ids, one row per query; -1 where there is none
and may have one(query, k, param), where a single query goes another way than a batch of one, save(path) and load(path).
"""
from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from sets import split

EF = [10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96, 112, 136, 160, 192, 256, 320, 384, 512, 768, 1024]


class Engine:
    package = ""  # on PyPI; "" is kith itself
    module = ""  # for import
    params: list[Any] = EF  # from fast to exact
    batched = True  # has a call for many queries
    keeps = False  # has save and load

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        raise NotImplementedError

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        """Engines without a batch call inherit this one, and define `one`."""
        if threads == 1:
            rows = [self.one(query, k, param) for query in queries]
        else:
            with ThreadPoolExecutor(threads) as pool:
                rows = list(pool.map(lambda query: self.one(query, k, param), queries, chunksize=32))
        ids = np.full((len(rows), k), -1, np.int64)
        for out, row in zip(ids, rows, strict=True):
            out[: len(row)] = row[:k]
        return ids

    def one(self, query: np.ndarray, k: int, param: Any) -> np.ndarray:
        return self.search(query[None], k, param, 1)[0]

    def save(self, path: Path) -> None:
        raise NotImplementedError

    def load(self, path: Path, base: np.ndarray, metric: str) -> None:
        raise NotImplementedError

    def note(self) -> str:
        """What the engine chose by itself, for the table."""
        return ""


def known() -> dict[str, Callable[..., Engine]]:
    import kith
    import peers

    return {"kith": kith.Kith, "kith-flat": kith.KithFlat} | peers.ENGINES


def make(spec: str) -> Engine:
    """`name:key=value,...`, the keys being the arguments of the engine's class; checked before anything is built."""
    name, options = split(spec)
    engines = known()
    if name not in engines:
        raise ValueError(f"no engine is called {name!r}; there are {', '.join(engines)}")
    accepted = inspect.signature(engines[name]).parameters
    values: dict[str, Any] = {}
    for key, text in options.items():
        if key not in accepted:
            raise ValueError(f"{spec}: {name} takes {', '.join(accepted) or 'no options'}")
        default = accepted[key].default
        values[key] = type(default)(text) if isinstance(default, int | float) else text
    return engines[name](**values)


def version(spec: str) -> str:
    """Of the installed package; raises where it is missing."""
    import importlib
    import importlib.metadata

    engine = make(spec)
    if not engine.package:
        return ""
    importlib.import_module(engine.module)
    return importlib.metadata.version(engine.package)

"""How does Python drive kith? Through its C ABI: ctypes on the libkith.so that C programs link.

A batch is one call, so its time is kith's own; a single call carries 1 to 2 us of ctypes (the peers' bindings: 2 to 30).
"""
from __future__ import annotations

import ctypes as c
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from engine import Engine

HERE = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
METRIC = {"l2": 0, "ip": 1, "cosine": 2}
ELEMENT = {"f32": (0, np.float32), "f16": (1, np.float16), "u8": (4, np.uint8)}
KIND = {"auto": 0, "flat": 1, "graph": 2}


def fields(u32: str, rest: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, c.c_uint32) for name in u32.split()] + rest


# The structs as they were in 0.1; `size` tells the library so, whatever was appended since.
class Options(c.Structure):
    _fields_ = fields("size dimensions metric element kind quantizer m ef_construction ef_search flags",
                      [("capacity", c.c_uint64), ("seed", c.c_uint64)])


class BuildOptions(c.Structure):
    _fields_ = fields("size threads", [("progress", c.c_void_p), ("ctx", c.c_void_p), ("flags", c.c_uint64)])


class SearchOptions(c.Structure):
    _fields_ = fields("size ef threads", [("recall", c.c_float), ("filter", c.c_void_p), ("ctx", c.c_void_p),
                                          ("flags", c.c_uint64)])


class Info(c.Structure):
    _fields_ = fields("size dimensions metric element kind quantizer m ef_construction ef_search format",
                      [(name, c.c_uint64) for name in ("count", "removed", "capacity", "bytes", "seed", "flags")])


def quantizers() -> dict[str, int]:
    """Names as in kith.h, in lower case without their prefix."""
    header = (HERE / "include" / "kith.h").read_text()
    return {name.lower(): int(value) for name, value in re.findall(r"KITH_QUANTIZER_(\w+) = (\d+)", header)}


class Kith(Engine):
    """`optimize=1` calls kith_optimize() after the build; `library` is another build of libkith.so."""

    module, keeps = "ctypes", True

    def __init__(self, m: int = 0, efc: int = 0, quantizer: str = "auto", element: str = "f32", kind: str = "auto",
                 seed: int = 0, optimize: int = 0, library: str = "") -> None:
        path = library or str(TARGET / "dist" / "libkith.so")
        if not Path(path).exists():
            raise ValueError(f"{path} is missing: make lib")
        self.lib = c.CDLL(str(Path(path).resolve()))
        self.lib.kith_last_error.restype = c.c_char_p
        self.lib.kith_cpu_level.restype = c.c_char_p
        if quantizer not in quantizers():
            raise ValueError(f"kith: quantizer is one of {', '.join(quantizers())}")
        if optimize and not hasattr(self.lib, "kith_optimize"):
            raise ValueError(f"{path} has no kith_optimize")
        self.element, self.type = ELEMENT[element]
        self.settings = {"kind": KIND[kind], "quantizer": quantizers()[quantizer], "m": m, "ef_construction": efc,
                         "seed": seed, "element": self.element}
        self.optimize = optimize
        self.handle = c.c_void_p()

    def must(self, status: int) -> None:
        if status:
            raise RuntimeError(self.lib.kith_last_error().decode())

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        settings = self.settings | {"dimensions": base.shape[1], "metric": METRIC[metric]}
        options = Options(size=c.sizeof(Options), **settings)
        self.must(self.lib.kith_create(c.byref(options), c.byref(self.handle)))
        keys, vectors = np.arange(len(base), dtype=np.uint64), self.fit(base)
        how = BuildOptions(size=c.sizeof(BuildOptions), threads=threads)
        self.must(self.lib.kith_insert_batch(self.handle, c.c_size_t(len(keys)), keys.ctypes, vectors.ctypes,
                                             c.c_size_t(0), c.byref(how)))
        if self.optimize:
            self.must(self.lib.kith_optimize(self.handle, c.byref(how)))

    def fit(self, vectors: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(vectors, self.type)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        wanted = self.fit(queries)
        keys, counts = np.empty((len(wanted), k), np.int64), np.empty(len(wanted), np.uintp)
        options = SearchOptions(size=c.sizeof(SearchOptions), ef=param, threads=threads)
        self.must(self.lib.kith_search_batch(self.handle, c.c_size_t(len(wanted)), wanted.ctypes, c.c_size_t(0),
                                             c.c_size_t(k), c.byref(options), keys.ctypes, None, counts.ctypes))
        return keys  # KITH_NO_KEY is -1 here

    def one(self, query: np.ndarray, k: int, param: Any) -> np.ndarray:
        """What a caller in a loop does: buffers and options are made once."""
        if getattr(self, "asked", None) != (k, param):
            self.asked = (k, param)
            self.keys, self.count = np.empty(k, np.int64), c.c_size_t()
            options = self.options = SearchOptions(size=c.sizeof(SearchOptions), ef=param)
            self.rest = (c.c_size_t(k), c.byref(options), c.c_void_p(self.keys.ctypes.data), None, c.byref(self.count))
        if query.dtype != self.type:
            query = query.astype(self.type)
        self.must(self.lib.kith_search(self.handle, c.c_void_p(query.__array_interface__["data"][0]), *self.rest))
        return self.keys

    def describe(self) -> Info:
        info = Info(size=c.sizeof(Info))
        self.must(self.lib.kith_describe(self.handle, c.byref(info)))
        return info

    def note(self) -> str:
        info, names = self.describe(), {number: name for name, number in quantizers().items()}
        quantizer = names.get(info.quantizer, info.quantizer)
        return f"{self.lib.kith_cpu_level().decode()}, quantizer {quantizer}, {info.bytes / max(info.count, 1):,.0f} B/vector held"

    def save(self, path: Path) -> None:
        self.must(self.lib.kith_save(self.handle, str(path).encode()))

    def load(self, path: Path, base: np.ndarray, metric: str) -> None:
        self.must(self.lib.kith_open(str(path).encode(), c.c_uint64(0), c.byref(self.handle)))


class KithFlat(Kith):
    """Exact search."""

    params = ["exact"]

    def __init__(self, quantizer: str = "auto", element: str = "f32", library: str = "") -> None:
        super().__init__(quantizer=quantizer, element=element, library=library, kind="flat")

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        return super().search(queries, k, 0, threads)

    def one(self, query: np.ndarray, k: int, param: Any) -> np.ndarray:
        return super().one(query, k, 0)

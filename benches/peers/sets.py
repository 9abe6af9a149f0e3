"""Which vectors are compared on? Named sets that need nothing but this repository, and anybody's own files.

A set is written NAME or PATH, with options behind a colon: `lowrank:n=60000,queries=500`, `sift.hdf5`, `~/sift:n=200000`.

    packages10k   10,000 descriptions of Debian packages (c_examples/data), 384 dimensions, cosine; every 20th is a query
    lowrank       made by lowrank.py, l2 (unit length, so cosine orders alike); n=20000, dim=1024, queries=500, seed=1
    FOLDER        base.*, query.* and, if there, gt.*; or NAME_base.*, NAME_query.*, NAME_groundtruth.* as SIFT1M and GIST have them.
                  meta.json may say {"metric": "cosine"}
    FILE.hdf5     in the layout of ann-benchmarks
    FILE          vectors; every (rows / queries)-th is taken out as a query

Options of all: n=N (the first N vectors), queries=N (1000), metric=l2|cosine|ip (l2 unless the set knows). Formats: formats.py.
"""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import formats
import lowrank
import numpy as np
import truth

DATA = Path(__file__).resolve().parents[2] / "c_examples" / "data"
METRICS = {"l2": "l2", "euclidean": "l2", "cosine": "cosine", "cos": "cosine", "angular": "cosine", "ip": "ip"}


@dataclass
class Vectors:
    """What a source gives, before anything is cut or scaled."""

    name: str
    metric: str
    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray | None = None


@dataclass
class Set:
    """A set as the engines get it: files of f32 (of unit length under cosine), and of the source's own type."""

    name: str
    metric: str
    base: Path
    queries: Path
    raw_base: Path
    raw_queries: Path
    truth: np.ndarray

    def __post_init__(self) -> None:
        raw = np.load(self.raw_base, mmap_mode="r")
        self.n, self.dim = raw.shape
        self.bytes_only = raw.dtype == np.uint8

    def recall(self, answers: np.ndarray) -> float:
        k = self.truth.shape[1]
        base = np.load(self.base, mmap_mode="r")
        return truth.recall(self.metric, base, np.load(self.queries), self.truth, answers[:, :k])


def split(text: str) -> tuple[str, dict[str, str]]:
    """`name:key=value,key=value`"""
    name, colon, rest = text.rpartition(":")
    if not colon or "=" not in rest:
        return text, {}
    pairs = [part.partition("=") for part in rest.split(",")]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError(f"{text}: options are key=value,key=value")
    return name, {key: value for key, _, value in pairs}


def packages10k() -> Vectors:
    rows, columns = (int(n) for n in np.fromfile(DATA / "packages10k.bin", "<u4", 2))
    vectors = np.fromfile(DATA / "packages10k.bin", "<f2", offset=8).reshape(rows, columns).astype(np.float32)
    return held_out("packages10k", "cosine", vectors, 500)


def held_out(name: str, metric: str, vectors: np.ndarray, queries: int) -> Vectors:
    """Takes queries out of the vectors, evenly spread."""
    if len(vectors) <= queries:
        raise ValueError(f"{name}: {len(vectors)} vectors are too few to take {queries} queries out of them")
    chosen = np.zeros(len(vectors), bool)
    chosen[:: len(vectors) // queries] = True
    return Vectors(name, metric, vectors[~chosen], np.array(vectors[chosen])[:queries])


def made(cache: Path, n: int, dim: int, queries: int, seed: int) -> Vectors:
    folder = cache / f"lowrank-{dim}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for kind, count in (("base", n), ("query", queries)):
        path = folder / f"{kind}-{count}.npy"
        if not path.exists():
            print(f"lowrank: making {count} x {dim}", flush=True)
            lowrank.write(path, count, dim, seed, kind == "query")
        parts.append(np.load(path, mmap_mode="r"))
    return Vectors(f"lowrank-{n // 1000}k", "l2", *parts)


def one_of(folder: Path, *words: str) -> Path | None:
    """The file of a folder that has one of the words in its name; .npy before others."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in formats.KNOWN]
    found = [path for word in words for path in files if word in path.stem.lower()]
    return min(found, key=lambda path: path.suffix != ".npy", default=None)


def folder_set(folder: Path) -> Vectors:
    base, query, right = one_of(folder, "base"), one_of(folder, "query", "queries"), one_of(folder, "gt", "groundtruth")
    if not base or not query:
        raise ValueError(f"{folder}: needs base.* and query.*, of {', '.join(formats.KNOWN)}")
    meta = folder / "meta.json"
    metric = json.loads(meta.read_text()).get("metric", "l2") if meta.exists() else "l2"
    return Vectors(folder.name, metric, formats.read(base), formats.read(query), formats.read(right) if right else None)


def source(name: str, options: dict[str, str], cache: Path) -> Vectors:
    queries = int(options.get("queries", 500 if name == "lowrank" else 1000))
    if name == "packages10k":
        return packages10k()
    if name == "lowrank":
        count, dim, seed = (int(options.pop(key, value)) for key, value in (("n", 20_000), ("dim", 1024), ("seed", 1)))
        return made(cache, count, dim, queries, seed)
    path = Path(name).expanduser()
    if path.is_dir():
        return folder_set(path)
    if not path.exists():
        raise ValueError(f"{name}: neither packages10k nor lowrank, nor a file or folder")
    if path.suffix.lower() in formats.HDF5:
        base, wanted, right, metric = formats.read_hdf5(path)
        return Vectors(path.stem, metric, base, wanted, right)
    return held_out(path.stem, "l2", formats.read(path), queries)


def load(text: str, k: int, cache: Path, scratch: Path) -> Set:
    name, options = split(text)
    found = source(name, options, cache)
    n, queries = int(options.pop("n", len(found.base))), int(options.pop("queries", 1000))
    metric = METRICS.get(options.pop("metric", found.metric).lower())
    if options or not metric:
        raise ValueError(f"{text}: unknown {next(iter(options), 'metric')}; options are n, queries, metric")
    whole = n >= len(found.base)
    label = found.name if whole else f"{found.name}-{n // 1000}k"
    raw_base, raw_queries = found.base[:n], np.array(found.queries[:queries])
    base, wanted = raw_base.astype(np.float32), raw_queries.astype(np.float32)
    if metric == "cosine":
        for part in (base, wanted):
            part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
    right = found.truth[:queries, :k] if found.truth is not None and whole else None
    if right is None or right.shape[1] < k:
        right = remembered_truth(metric, base, wanted, k, cache)
    paths = {}
    for kind, values in (("base", base), ("queries", wanted), ("raw_base", raw_base), ("raw_queries", raw_queries)):
        paths[kind] = scratch / f"{kind}.npy"
        np.save(paths[kind], values)
    return Set(label, metric, truth=np.array(right), **paths)


def remembered_truth(metric: str, base: np.ndarray, queries: np.ndarray, k: int, cache: Path) -> np.ndarray:
    """Exact search over large sets takes a while: its answers are kept under a digest of what was asked."""
    digest = hashlib.sha256(f"{metric} {k} {base.shape}".encode())
    for part in (base, queries):
        digest.update(np.ascontiguousarray(part))
    path = cache / "truth" / f"{digest.hexdigest()[:32]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, truth.exact(metric, base, queries, k))
    return np.load(path)

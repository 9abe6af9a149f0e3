"""Which other engines are there, and how is each one driven? All of PyPI; install.py fetches them.

Each is used as its documentation shows, M 16 (degree 32 at level 0) and ef_construction 200 unless its default is another.
"""
from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from engine import Engine

# what install.py asks for; later versions serve as well
PACKAGES = {"hnswlib": "0.8.0", "faiss-cpu": "1.15.1", "usearch": "2.26.6", "scalable-vs": "0.5.0", "pyvsag": "0.18.5",
            "kannolo": "0.15.1", "voyager": "2.2.3", "diskannpy": "0.7.0"}


class Hnswlib(Engine):
    package, module, keeps = "hnswlib", "hnswlib", True

    def __init__(self, m: int = 16, efc: int = 200) -> None:
        self.m, self.efc = m, efc

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import hnswlib

        self.index = hnswlib.Index(metric, base.shape[1])
        self.index.init_index(len(base), M=self.m, ef_construction=self.efc)
        self.index.add_items(base, num_threads=threads)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        self.index.set_ef(param)
        return self.index.knn_query(queries, k, num_threads=threads)[0].astype(np.int64)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: Path, base: np.ndarray, metric: str) -> None:
        import hnswlib

        self.index = hnswlib.Index(metric, base.shape[1])
        self.index.load_index(str(path))


class HnswlibFlat(Engine):
    package, module, params = "hnswlib", "hnswlib", ["exact"]

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import hnswlib

        self.index = hnswlib.BFIndex(metric, base.shape[1])
        self.index.init_index(len(base))
        self.index.add_items(base)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        return self.index.knn_query(queries, k, num_threads=threads)[0].astype(np.int64)


class Faiss(Engine):
    """HNSW over codes (Flat, SQ8, SQ8_direct for bytes as they are, SQfp16, SQ4); refine=F ranks F k hits by f32 again."""

    package, module, keeps = "faiss-cpu", "faiss", True

    def __init__(self, codes: str = "Flat", m: int = 16, efc: int = 200, refine: float = 0.0) -> None:
        self.m, self.efc, self.refine = m, efc, refine
        self.factory = f"HNSW{m},{codes}" if not refine else f"HNSW{m}_{codes},RFlat"

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import faiss

        faiss.omp_set_num_threads(threads)
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.settle(faiss.index_factory(base.shape[1], self.factory, kind))
        if hasattr(self.inner, "hnsw"):
            self.inner.hnsw.efConstruction = self.efc
        self.index.train(base)
        self.index.add(base)

    def settle(self, index: Any) -> None:
        import faiss

        self.index, self.threads = index, 0
        self.inner = faiss.downcast_index(getattr(index, "base_index", index))
        if self.refine:
            index.k_factor = self.refine

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        import faiss

        if self.threads != threads:
            self.threads = threads
            faiss.omp_set_num_threads(threads)
        if hasattr(self.inner, "hnsw"):
            self.inner.hnsw.efSearch = param
        return self.index.search(queries, k)[1]

    def save(self, path: Path) -> None:
        import faiss

        faiss.write_index(self.index, str(path))

    def load(self, path: Path, base: np.ndarray, metric: str) -> None:
        import faiss

        self.settle(faiss.read_index(str(path)))


class FaissFlat(Faiss):
    """Exact (Flat), or by a scan of codes (SQ8)."""

    params = ["exact"]

    def __init__(self, codes: str = "Flat") -> None:
        super().__init__()
        self.factory = codes


class Usearch(Engine):
    package, module, keeps = "usearch", "usearch.index", True

    def __init__(self, type: str = "f32", m: int = 16, efc: int = 128) -> None:  # m and efc: its defaults
        self.type, self.m, self.efc, self.shift = type, m, efc, False

    def settle(self, dim: int, metric: str) -> None:
        from usearch.index import Index

        kind = {"l2": "l2sq", "cosine": "cos", "ip": "ip"}[metric]
        self.index = Index(ndim=dim, metric=kind, dtype=self.type, connectivity=self.m, expansion_add=self.efc)
        # f32 are scaled into i8 vector by vector, which keeps angles only. Bytes of 0 to 255 fit after a shift.
        self.shift = self.type == "i8" and metric == "l2"

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        self.settle(base.shape[1], metric)
        self.index.add(np.arange(len(base)), self.fit(base), threads=threads)

    def fit(self, vectors: np.ndarray) -> np.ndarray:
        return (vectors - 128).astype(np.int8) if self.shift else vectors

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        self.index.expansion_search = param
        return self.index.search(self.fit(queries), k, threads=threads).keys.reshape(len(queries), -1).astype(np.int64)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path, base: np.ndarray, metric: str) -> None:
        self.settle(base.shape[1], metric)
        self.index.load(str(path))


class Svs(Engine):
    """Vamana. Its LVQ codes end the host process on processors that are not Intel's, so they are not offered."""

    package, module = "scalable-vs", "svs"

    def __init__(self, type: str = "f32", degree: int = 32, window: int = 200) -> None:
        self.type, self.degree, self.window = {"f32": np.float32, "f16": np.float16, "u8": np.uint8}[type], degree, window

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import svs

        kind, alpha = (svs.DistanceType.L2, 1.2) if metric == "l2" else (svs.DistanceType.MIP, 0.95)
        how = svs.VamanaBuildParameters(graph_max_degree=self.degree, window_size=self.window, alpha=alpha)
        self.index = svs.Vamana.build(how, base.astype(self.type), kind, num_threads=threads)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        import svs

        if self.index.num_threads != threads:
            self.index.num_threads = threads
        self.index.search_parameters = svs.VamanaSearchParameters(svs.SearchBufferConfig(param))
        return self.index.search(queries.astype(self.type, copy=False), k)[0].astype(np.int64)


class Vsag(Engine):
    """HGraph over codes, ranked again by `rerank` if given. (sq4_uniform finds nothing on some processors.)"""

    package, module, batched = "pyvsag", "pyvsag", False

    def __init__(self, codes: str = "sq8_uniform", rerank: str = "fp32", degree: int = 32, efc: int = 200) -> None:
        self.options: dict[str, Any] = {"base_quantization_type": codes, "max_degree": degree, "ef_construction": efc}
        if rerank != "none":
            self.options |= {"use_reorder": True, "precise_quantization_type": rerank}

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import pyvsag

        n, dim = base.shape
        how = {"dtype": "float32", "metric_type": metric, "dim": dim,
               "index_param": self.options | {"build_thread_count": threads}}
        self.index = pyvsag.Index("hgraph", json.dumps(how))
        self.index.build(base.ravel(), np.arange(n, dtype=np.int64), n, dim)

    def one(self, query: np.ndarray, k: int, param: Any) -> np.ndarray:
        return self.index.knn_search(query, k, f'{{"hgraph":{{"ef_search":{param}}}}}')[0]


class Kannolo(Engine):
    """HNSW over f16, or over RaBitQ codes of so many bits, ranked again by f16."""

    package, module = "kannolo", "kannolo"

    def __init__(self, bits: int = 0, m: int = 16, efc: int = 200) -> None:
        self.bits, self.m, self.efc = bits, m, efc

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import kannolo

        how = {"m": self.m, "ef_construction": self.efc, "graph_type": "permuted",
               "metric": "euclidean" if metric == "l2" else "dotproduct"}
        self.padding = -base.shape[1] % 64 if self.bits else 0  # RaBitQ takes multiples of 64
        flat, dim = self.pad(base).ravel(), base.shape[1] + self.padding
        if self.bits:
            how |= {"encoder": "rabitq-ext", "rabitq_total_bits": self.bits}
            self.index = kannolo.DenseRerankHNSW.build_from_array(flat, dim, **how)
        else:
            self.index = kannolo.DensePlainHNSW.build_from_array(flat, dim, **how)

    def pad(self, vectors: np.ndarray) -> np.ndarray:
        return np.pad(vectors, ((0, 0), (0, self.padding))) if self.padding else vectors

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        rerank = {"k_candidates": max(k, min(param, 5 * k))} if self.bits else {}
        ids = self.index.batch_search(self.pad(queries).ravel(), k, ef_search=param, num_threads=threads, **rerank)[1]
        return np.asarray(ids).reshape(len(queries), -1).astype(np.int64)


class Voyager(Engine):
    package, module = "voyager", "voyager"

    def __init__(self, m: int = 16, efc: int = 200, type: str = "Float32") -> None:
        self.m, self.efc, self.type = m, efc, type

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import voyager

        space = {"l2": "Euclidean", "cosine": "Cosine", "ip": "InnerProduct"}[metric]
        self.index = voyager.Index(getattr(voyager.Space, space), base.shape[1], M=self.m, ef_construction=self.efc,
                                   max_elements=len(base), storage_data_type=getattr(voyager.StorageDataType, self.type))
        self.index.add_items(base, num_threads=threads)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        return self.index.query(queries, k, num_threads=threads, query_ef=param)[0].astype(np.int64)


class DiskAnn(Engine):
    """Vamana in memory."""

    package, module = "diskannpy", "diskannpy"

    def __init__(self, degree: int = 32, complexity: int = 200) -> None:
        self.degree, self.complexity = degree, complexity

    def build(self, base: np.ndarray, metric: str, threads: int) -> None:
        import diskannpy

        if metric == "ip":
            raise ValueError("diskann: measured under l2 and cosine only")
        self.home = tempfile.TemporaryDirectory()
        diskannpy.build_memory_index(np.array(base), "l2", self.home.name, complexity=self.complexity,
                                     graph_degree=self.degree, num_threads=threads)
        self.index = diskannpy.StaticMemoryIndex(self.home.name, num_threads=threads, initial_search_complexity=1024)

    def search(self, queries: np.ndarray, k: int, param: Any, threads: int) -> np.ndarray:
        return self.index.batch_search(queries, k, param, threads).identifiers.astype(np.int64)


ENGINES = {
    "hnswlib": Hnswlib, "faiss": Faiss, "usearch": Usearch, "svs": Svs, "vsag": Vsag, "kannolo": Kannolo,
    "voyager": Voyager, "diskann": DiskAnn, "hnswlib-flat": HnswlibFlat, "faiss-flat": FaissFlat,
}
# Line-ups by name: `bytes` are added where the data are bytes, `floats` elsewhere.
LINE_UPS = {
    "best": {"all": ["hnswlib", "faiss:codes=SQ8", "vsag", "kannolo:bits=4", "voyager", "diskann"],
             "bytes": ["faiss:codes=SQ8_direct", "svs:type=u8", "usearch:type=i8"],
             "floats": ["svs:type=f16", "usearch:type=f16"]},
    "all": {"all": ["hnswlib", "hnswlib:m=32", "faiss", "faiss:codes=SQ8", "faiss:codes=SQ4,refine=4", "usearch", "svs",
                    "svs:type=f16", "vsag", "vsag:codes=sq4,rerank=sq8", "vsag:codes=rabitq,rerank=sq8_uniform", "kannolo",
                    "kannolo:bits=4", "voyager", "diskann"],
            "bytes": ["faiss:codes=SQ8_direct", "svs:type=u8", "usearch:type=i8"],
            "floats": ["usearch:type=f16"]},
    "flat": {"all": ["faiss-flat", "faiss-flat:codes=SQ8", "hnswlib-flat"], "bytes": [], "floats": []},
}


def line_up(name: str, bytes_only: bool) -> list[str]:
    return LINE_UPS[name]["all"] + LINE_UPS[name]["bytes" if bytes_only else "floats"]

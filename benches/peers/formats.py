"""Which vectors are in this file? Reads .npy, .fvecs, .bvecs, .ivecs, .fbin, .u8bin, .i8bin, .ibin, .hdf5 and packages10k.bin.

Files are mapped, not read, where the format allows it. What comes back has the type of the file.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np

# component type of the formats that repeat the length before every row
ROWS = {".fvecs": np.dtype("<f4"), ".bvecs": np.dtype("u1"), ".ivecs": np.dtype("<i4")}
# ... and of those that have one head of two u32, rows and columns
HEADED = {".fbin": np.dtype("<f4"), ".u8bin": np.dtype("u1"), ".i8bin": np.dtype("i1"), ".ibin": np.dtype("<i4"),
          ".hbin": np.dtype("<f2")}
HDF5 = (".hdf5", ".h5")
KNOWN = (".npy", *ROWS, *HEADED, *HDF5)


def read(path: Path) -> np.ndarray:
    """The vectors of a file that holds one array."""
    kind = path.suffix.lower()
    if kind == ".npy":
        array = np.load(path, mmap_mode="r")
    elif kind in ROWS:
        array = read_rows(path, ROWS[kind])
    elif kind in HEADED:
        array = read_headed(path, HEADED[kind])
    else:
        raise ValueError(f"{path}: unknown format, known are {', '.join(KNOWN)}")
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{path}: has shape {array.shape}, not rows of vectors")
    return array


def read_rows(path: Path, component: np.dtype) -> np.ndarray:
    """Each row: its length as i32, then so many components."""
    raw = np.memmap(path, np.uint8, "r")
    if len(raw) < 4:
        raise ValueError(f"{path}: is empty")
    columns = int(raw[:4].view("<i4")[0])
    row = 4 + columns * component.itemsize
    if columns < 1 or len(raw) % row:
        raise ValueError(f"{path}: {len(raw)} bytes are no whole rows of {columns} components")
    table = raw.reshape(-1, row)
    lengths = table[:, :4]
    if (lengths != lengths[0]).any():
        raise ValueError(f"{path}: rows of different length")
    return table[:, 4:].view(component)


def read_headed(path: Path, component: np.dtype) -> np.ndarray:
    """Rows and columns as u32, then the components."""
    rows, columns = (int(n) for n in np.fromfile(path, "<u4", 2))
    if path.stat().st_size < 8 + rows * columns * component.itemsize:
        raise ValueError(f"{path}: is shorter than its head says ({rows} x {columns})")
    return np.memmap(path, component, "r", 8, (rows, columns))


def read_hdf5(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Base, queries, truth and metric of a file in the layout of ann-benchmarks."""
    try:
        import h5py
    except ImportError:
        raise ValueError(f"{path}: needs h5py (pip install h5py)") from None
    with h5py.File(path, "r") as file:
        truth = file["neighbors"][:] if "neighbors" in file else None
        metric = {"angular": "cosine", "euclidean": "l2"}.get(file.attrs.get("distance", "euclidean"), "l2")
        return file["train"][:], file["test"][:], truth, metric

"""Which vectors are really nearest, and how many of them did an answer find?

Distances are screened in f32 and settled in f64; ties go to the lower id. An answer that is as near as the k-th nearest counts as
found, whichever of several equal ones the truth names (byte vectors tie often).
"""
from __future__ import annotations

import numpy as np

BASE_ROWS, QUERY_ROWS = 32_768, 256
SPARE = 32  # candidates beyond k that the screening keeps
EQUAL = 1e-6  # relative to the distance


def distances(metric: str, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """In f64. Under cosine both sides have unit length already."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    return ((vectors - query) ** 2).sum(1) if metric == "l2" else 1 - vectors @ query


def exact(metric: str, base: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Ids of the k nearest of each query, nearest first."""
    keep = min(k + SPARE, len(base))
    out = np.empty((len(queries), min(k, len(base))), np.int32)
    for at in range(0, len(queries), QUERY_ROWS):
        wanted = queries[at : at + QUERY_ROWS].astype(np.float32)
        scores, ids = np.empty((len(wanted), 0), np.float32), np.empty((len(wanted), 0), np.int64)
        for start in range(0, len(base), BASE_ROWS):
            rows = base[start : start + BASE_ROWS].astype(np.float32)
            far = -(wanted @ rows.T)
            if metric == "l2":
                far = np.einsum("ij,ij->i", rows, rows) + 2 * far
            scores = np.hstack([scores, far])
            ids = np.hstack([ids, np.broadcast_to(np.arange(start, start + len(rows)), far.shape)])
            if scores.shape[1] > keep:
                near = np.argpartition(scores, keep - 1, axis=1)[:, :keep]
                scores, ids = np.take_along_axis(scores, near, 1), np.take_along_axis(ids, near, 1)
        for i, candidates in enumerate(ids):
            candidates = np.sort(candidates)
            order = np.argsort(distances(metric, base[candidates], wanted[i]), kind="stable")
            out[at + i] = candidates[order[: out.shape[1]]]
    return out


def recall(metric: str, base: np.ndarray, queries: np.ndarray, truth: np.ndarray, answers: np.ndarray) -> float:
    """The share of the places of `truth` (queries x k) that `answers` (ids, -1: none) fills rightly."""
    found = 0
    for query, right, answer in zip(queries, truth, answers, strict=True):
        answer = np.unique(answer[(answer >= 0) & (answer < len(base))])
        known = np.isin(answer, right)
        hits, others = int(known.sum()), answer[~known]
        if len(others):
            limit = distances(metric, base[right[-1:]], query)[0]
            hits += int((distances(metric, base[others], query) <= limit + EQUAL * abs(limit)).sum())
        found += min(hits, len(right))
    return found / truth.size

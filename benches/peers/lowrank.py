"""Makes vectors that are like embeddings: many dimensions of falling weight, uneven clusters, a common direction.

    python3 benches/peers/lowrank.py OUT.npy --count 20000 --dim 1024 [--queries-of-it] [--seed 1]

In a latent space of `dim` axes a vector of cluster c is
    mean + centre[c] + tail * spread[c] * gauss
- mean, centre: weights that fall like 1 / (20 + axis); centres are 400, each one of 40 groups plus an offset of its own
- spread: weights that fall like (10 + axis)^-1.1 on a floor of 1 %, times a pattern of the cluster's own in which 48 of the first 256
  axes are strong; scaled to the cluster's radius
- tail: sqrt(10 / chi2_10), at most 3
- clusters are drawn with weights (5 + rank)^-0.9
and the latent space is turned by random signs and a Hadamard matrix, so that no component stands out. Vectors have unit length.
Queries are a little beside the base: cluster weights shuffled and half flattened, a tenth wider, all of them shifted.

The first rows of a large set are the rows of a small one. Same seed and same numpy: same vectors (to the rounding of its BLAS).
"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

BLOCK = 1024
CLUSTERS, GROUPS = 400, 40
STRONG, STRONG_AMONG = 48, 256


def falling(dim: int, knee: float, power: float, floor: float = 0.0) -> np.ndarray:
    """Weights of the axes, of unit length."""
    weights = (1 + np.arange(dim) / knee) ** -power + floor
    return weights / np.linalg.norm(weights)


def hadamard(size: int) -> np.ndarray:
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return (matrix / np.sqrt(size)).astype(np.float32)


class Model:
    def __init__(self, dim: int, seed: int = 1) -> None:
        if dim < 64 or dim & (dim - 1):
            raise ValueError(f"lowrank: dim must be a power of two from 64, not {dim}")
        self.dim, self.seed = dim, seed
        random = np.random.default_rng([seed, 0])
        coarse, fine = falling(dim, 20, 1.0), falling(dim, 10, 1.1, 0.01)
        group_of = random.integers(0, GROUPS, CLUSTERS)
        groups = random.standard_normal((GROUPS, dim)) * coarse * 0.45
        offsets = random.standard_normal((CLUSTERS, dim)) * coarse * 0.6
        mean = random.standard_normal(dim) * coarse * 0.5
        self.centres = (mean + groups[group_of] + offsets).astype(np.float32)

        pattern = random.choice([0.4, 0.6, 0.8, 1.0, 1.3, 1.7], (CLUSTERS, dim))
        for row in pattern:
            row[random.choice(min(STRONG_AMONG, dim), STRONG, replace=False)] *= 1.8
        spread = pattern * fine
        radius = random.choice([0.7, 0.8, 0.9, 1.0, 1.1, 1.25], (CLUSTERS, 1))
        self.spread = (spread * radius / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)

        weights = (5.0 + np.arange(CLUSTERS)) ** -0.9
        weights /= weights.sum()
        self.weights = weights
        self.query_weights = 0.5 * random.permutation(weights) + 0.5 / CLUSTERS
        self.shift = (random.standard_normal(dim) * coarse * 0.15).astype(np.float32)
        self.signs = random.choice(np.array([-1, 1], np.float32), dim)
        outer = 1 << ((dim.bit_length() - 1) // 2)
        self.outer, self.inner = hadamard(outer), hadamard(dim // outer)

    def turn(self, latent: np.ndarray) -> np.ndarray:
        """A Hadamard matrix of size ab is the Kronecker product of those of size a and b."""
        signed = (latent * self.signs).reshape(len(latent), len(self.outer), len(self.inner))
        return (self.outer @ signed @ self.inner).reshape(latent.shape)

    def block(self, number: int, queries: bool) -> np.ndarray:
        random = np.random.default_rng([self.seed, 2 if queries else 1, number])
        cluster = random.choice(CLUSTERS, BLOCK, p=self.query_weights if queries else self.weights)
        tail = np.minimum(np.sqrt(10 / random.chisquare(10, (BLOCK, 1))), 3) * (1.1 if queries else 1.0)
        latent = random.standard_normal((BLOCK, self.dim), dtype=np.float32)
        latent *= self.spread[cluster] * tail.astype(np.float32)
        latent += self.centres[cluster]
        if queries:
            latent += self.shift
        out = self.turn(latent)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        return out


def write(path: Path, count: int, dim: int, seed: int, queries: bool) -> None:
    model = Model(dim, seed)
    part = path.with_suffix(".part.npy")
    out = np.lib.format.open_memmap(part, "w+", np.float32, (count, dim))
    for start in range(0, count, BLOCK):
        out[start : start + BLOCK] = model.block(start // BLOCK, queries)[: count - start]
    out.flush()
    part.replace(path)  # whoever finds the file finds all of it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries-of-it", action="store_true", help="queries instead of base vectors")
    args = parser.parse_args()
    write(args.out, args.count, args.dim, args.seed, args.queries_of_it)


if __name__ == "__main__":
    main()

"""Logistic regression on sparse rows by L-BFGS (Nocedal & Wright, Numerical Optimization, algorithm 7.4), in numpy."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.training.rows import Rows

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights (size,) and intercept; log odds of a row are `values @ weights[numbers] + intercept`."""

    weights: Vector
    intercept: float


def fit(rows: Rows, size: int, *, strength: float, iterations: int = 60, start: Fit | None = None) -> Fit:
    """The weights that make `0.5 |w|^2 + strength * sum(weight * log loss)` smallest. Deterministic.

    `start` is where to begin: what was fitted to nearly the same rows saves most of the way.
    """
    index, value = np.concatenate(rows.index), np.concatenate(rows.value)
    lengths = np.array(rows.length)
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    sign = np.where(np.array(rows.label) > 0.5, 1.0, -1.0)
    weight = np.array(rows.weight) * strength
    owner = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)

    def loss(at: Vector) -> tuple[float, Vector]:
        margin = sign * (np.add.reduceat(at.astype(np.float32)[index] * value, begins) + at[-1])
        gradient = at.copy()
        gradient[-1] = 0.0
        total = 0.5 * float(gradient @ gradient) + float(weight @ np.logaddexp(0.0, -margin))
        slope = -weight * sign / (1.0 + np.exp(np.clip(margin, -50, 50)))
        gradient[:-1] += np.bincount(index, weights=slope.astype(np.float32)[owner] * value, minlength=size)
        gradient[-1] = slope.sum()
        return total, gradient

    at = np.zeros(size + 1) if start is None else np.append(start.weights, start.intercept)
    total, gradient = loss(at)
    history: deque[tuple[Vector, Vector, float]] = deque(maxlen=8)
    for _ in range(iterations):
        direction = _direction(gradient, history)
        step = 1.0 if history else min(1.0, 1.0 / float(np.abs(gradient).sum()) * (100 if start is None else 1))
        slope = float(gradient @ direction)
        while True:
            there = at + step * direction
            new_total, new_gradient = loss(there)
            if new_total <= total + 1e-4 * step * slope or step < 1e-8:
                break
            step /= 2
        moved, turned = there - at, new_gradient - gradient
        curvature = float(moved @ turned)
        if curvature > 1e-10:
            history.append((moved, turned, curvature))
        done = total - new_total < 1e-5 * max(1.0, abs(total))
        at, total, gradient = there, new_total, new_gradient
        if done:
            break
    return Fit(weights=at[:-1], intercept=float(at[-1]))


def _direction(gradient: Vector, history: deque[tuple[Vector, Vector, float]]) -> Vector:
    """The two-loop recursion."""
    result = -gradient
    factors = []
    for moved, turned, curvature in reversed(history):
        factor = float(moved @ result) / curvature
        factors.append(factor)
        result -= factor * turned
    if history:
        moved, turned, curvature = history[-1]
        result *= curvature / float(turned @ turned)
    for (moved, turned, curvature), factor in zip(history, reversed(factors), strict=True):
        result += (factor - float(turned @ result) / curvature) * moved
    return result

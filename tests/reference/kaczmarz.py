"""Regularized Kaczmarz as a plain loop over rows, complex128."""

import numpy as np


def kaczmarz(
    matrix,
    data,
    lam,
    *,
    sweeps,
    constraint=None,
    row_weights=None,
    row_order=None,
    init=None,
    history=None,
    changes=None,
    tolerance=None,
):
    """One frame; the state v starts at zero.

    Args:
        lam: a number, or one per voxel: then the loop runs on A diag(lam)^-1/2 with 1 in place of lambda.
        row_order: indices, or a function of the sweep's number that returns them.
        history: list that collects (x, v) after every row update.
        changes: list that collects |x_new - x_old| / |x_new| after every sweep.
        tolerance: stop after the first sweep with a change of at most this.

    Returns:
        x and v after the last projection.
    """
    weights = np.ones(len(data)) if row_weights is None else np.asarray(row_weights)
    scale = 1 / np.sqrt(lam) if np.ndim(lam) else np.ones(np.shape(matrix)[1])
    lam = 1.0 if np.ndim(lam) else lam
    a = weights[:, None] * np.asarray(matrix, np.complex128) * scale
    b = weights * np.asarray(data, np.complex128)
    energy = np.sum(np.abs(a) ** 2, axis=1)
    x = np.zeros(a.shape[1], np.complex128) if init is None else np.array(init, np.complex128) / scale
    v = np.zeros(len(b), np.complex128)
    root = np.sqrt(lam)
    for sweep in range(sweeps):
        before = x
        order = row_order(sweep) if callable(row_order) else row_order
        for k in range(len(b)) if order is None else order:
            if energy[k] == 0:
                continue
            alpha = (b[k] - a[k] @ x - root * v[k]) / (energy[k] + lam)
            x = x + alpha * a[k].conj()
            v[k] += alpha * root
            if history is not None:
                history.append((x * scale, v.copy()))
        if constraint is not None:
            x = x.real.astype(np.complex128)
        if constraint == "nonnegative":
            x = np.maximum(x.real, 0).astype(np.complex128)
        change, norm = np.linalg.norm(scale * (x - before)), np.linalg.norm(scale * x)
        change = change / norm if norm > 0 else np.inf
        if changes is not None:
            changes.append(change)
        if tolerance is not None and change <= tolerance:
            break
    return x * scale, v


def tikhonov(matrix, data, lam):
    """Minimizer of |Ax - b|^2 + lam |x|^2 by stacked least squares, not by normal equations."""
    n = matrix.shape[1]
    stacked = np.concatenate([matrix, np.sqrt(lam) * np.eye(n)])
    return np.linalg.lstsq(stacked, np.concatenate([data, np.zeros(n)]), rcond=None)[0]


def problem(m=12, n=8, seed=0):
    """Random complex matrix whose row 5 is empty, data, weights, order and prior."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=shape) + 1j * rng.normal(size=shape)  # noqa: E731
    matrix, data = normal(m, n), normal(m)
    matrix[5] = 0
    return matrix, data, rng.uniform(0.5, 2, m), rng.permutation(m), normal(n)


def error(value, expected):
    """Relative distance."""
    return np.linalg.norm(np.asarray(value) - expected) / np.linalg.norm(expected)

"""The sparse reconstruction problems by the primal-dual method of Chambolle and Pock, dense float64 matrices."""

import numpy as np


def differences(image_shape):
    """D as a dense matrix (d, n, n), built voxel by voxel."""
    nx, ny, nz = image_shape
    n = nx * ny * nz
    index = np.arange(n).reshape(nz, ny, nx)
    out = []
    for axis in (2, 1, 0):
        if index.shape[axis] == 1:
            continue
        d = np.zeros((n, n))
        for k in np.ndindex(index.shape):
            if k[axis] + 1 < index.shape[axis]:
                ahead = tuple(v + (a == axis) for a, v in enumerate(k))
                d[index[k], index[k]], d[index[k], index[ahead]] = -1, 1
        out.append(d)
    return np.stack(out)


def variation(x, image_shape, isotropic=True):
    """TV of one image."""
    g = differences(image_shape) @ x
    return np.sum(np.sqrt(np.sum(g**2, axis=0))) if isotropic else np.sum(np.abs(g))


def objective(matrix, data, x, image_shape, *, l1, tv, epsilon=None, isotropic=True):
    """The function that is minimized; the bound is not part of it."""
    fit = 0 if epsilon is not None else 0.5 * np.sum(np.abs(matrix @ x - data) ** 2)
    return fit + l1 * np.sum(np.abs(x)) + tv * variation(x, image_shape, isotropic)


def solve(
    matrix, data, image_shape, *, l1=0.0, tv=0.0, epsilon=None, nonnegative=True, isotropic=True, iterations=50000
):
    """min l1 |x|_1 + tv TV(x) + data term: 1/2 |Ax - b|^2, or the ball |Ax - b| <= epsilon."""
    a = np.concatenate([matrix.real, matrix.imag])
    b = np.concatenate([data.real, data.imag])
    d = differences(image_shape)
    count, n = d.shape[:2]
    k = np.concatenate([a, d.reshape(-1, n)])
    tau = sigma = 0.99 / np.linalg.norm(k, 2)
    x, y = np.zeros(n), np.zeros(len(k))
    ahead = x
    for _ in range(iterations):
        y = y + sigma * (k @ ahead)
        if epsilon is None:
            y[: len(a)] = (y[: len(a)] - sigma * b) / (1 + sigma)
        else:
            r = y[: len(a)] - sigma * b
            y[: len(a)] = r * max(0, 1 - sigma * epsilon / max(np.linalg.norm(r), 1e-300))
        p = y[len(a) :].reshape(count, n)
        size = np.sqrt(np.sum(p**2, axis=0)) if isotropic else np.abs(p)
        y[len(a) :] = (p * np.where(size > tv, tv / np.where(size > 0, size, 1), 1)).ravel()
        v = x - tau * (k.T @ y)
        new = np.maximum(v - tau * l1, 0) if nonnegative else np.sign(v) * np.maximum(np.abs(v) - tau * l1, 0)
        ahead, x = 2 * new - x, new
    return x

"""Readable twins of what reading a calibration does, one number at a time in float64."""

import itertools

import numpy as np


def meandering_path(size):
    """Grid indices (ix, iy, iz) in the order of measurement: x backwards on odd lines, y backwards in odd planes."""
    path = []
    for line_z in range(size[2]):
        for line_y in range(size[1]):
            for step in range(size[0]):
                x = size[0] - 1 - step if (line_y + line_z) % 2 else step
                y = size[1] - 1 - line_y if line_z % 2 else line_y
                path.append((x, y, line_z))
    return path


def stored_path(size, order):
    """Grid indices (ix, iy, iz) of a grid stored with ``order[0]`` fastest."""
    axes = ["xyz".index(letter) for letter in order]
    path = []
    for slow, middle, fast in itertools.product(*(range(size[axis]) for axis in reversed(axes))):
        point = [0, 0, 0]
        for axis, index in zip(axes, (fast, middle, slow), strict=True):
            point[axis] = index
        path.append(tuple(point))
    return path


def interpolated_background(acquisition, background_acquisition, background):
    """The reference formula of equidistant background: alpha = (index - 1)/(N - 1) (K - 1) + 1, counted from 1."""
    n, k = max(*acquisition, *background_acquisition) + 1, len(background)
    result = []
    for index in acquisition:
        alpha = (index / (n - 1)) * (k - 1)
        low = min(int(alpha), k - 2)
        result.append(background[low] * (1 - (alpha - low)) + background[low + 1] * (alpha - low))
    return np.array(result)


def snr(foreground, background):
    """SNR (f,) of one channel's rows (f, n) from background frames (e, f)."""
    f, n = foreground.shape
    center = background.mean(0)
    noise = np.array([np.mean([abs(b - center[k]) for b in background[:, k]]) for k in range(f)])
    first = np.array([np.median(abs(foreground[k] - center[k])) / noise[k] for k in range(f)])
    region = np.zeros(n, bool)
    for k in sorted(range(f), key=lambda k: -first[k])[:20]:
        region |= abs(foreground[k]) > 0.9 * abs(foreground[k]).max()
    result = []
    for k in range(f):
        signal = abs(foreground[k] - center[k])
        level = np.median(signal[region])
        if level > 3.5 * noise[k]:
            level = np.median(signal[signal > 0.9 * signal.max()])
        result.append(level / noise[k])
    return np.array(result)


def orthonormal_dct4(n):
    """Matrix of the orthonormal DCT-IV, its own inverse."""
    k = np.arange(n) + 0.5
    return np.sqrt(2 / n) * np.cos(np.pi / n * np.outer(k, k))


def orthonormal_dct2(n):
    """Matrix of the orthonormal DCT-II."""
    matrix = np.sqrt(2 / n) * np.cos(np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5))
    matrix[0] /= np.sqrt(2)
    return matrix

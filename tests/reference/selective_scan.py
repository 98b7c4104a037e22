"""The selective scan as its recurrence is written, in float64 NumPy."""

import numpy as np


def selective_scan(x, step, a, b, c, skip):
    """h_t = exp(step_t a) h_(t-1) + step_t b_t x_t, y_t = <c_t, h_t> + skip x_t; arguments as in `mpijax`."""
    x, step, a, b, c, skip = (np.asarray(value, np.float64) for value in (x, step, a, b, c, skip))
    y = np.zeros_like(x)
    for image in range(x.shape[0]):
        for k in range(x.shape[1]):
            h = np.zeros_like(a[k])  # (d, n)
            for t in range(x.shape[2]):
                width, value = step[image, k, t, :, None], x[image, k, t, :, None]
                h = np.exp(width * a[k]) * h + width * value * b[image, k, t]
                y[image, k, t] = h @ c[image, k, t] + skip[k] * x[image, k, t]
    return y

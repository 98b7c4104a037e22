"""Coil fields against magpylib.

``python -m benchmarks.bench_coils``: a cube of 33^3 points inside a coil of 50 mm radius; the loop by elliptic integrals, and
256 straight segments, by the exact formula (magpylib's too) and by the midpoint sum.
"""

import jax.numpy as jnp
import magpylib
import numpy as np

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.physics import loop_field, polyline_field, segments_field

RADIUS, SEGMENTS = 50e-3, 256


def main() -> None:
    arguments = options(__doc__).parse_args()
    axis = np.linspace(-20e-3, 20e-3, 33)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    single = jnp.asarray(points, jnp.float32)
    center, normal = np.array([0.0, 0.0, 10e-3]), np.array([0.0, 0.0, 1.0])
    angle = 2 * np.pi * np.arange(SEGMENTS + 1) / SEGMENTS
    vertices = center + RADIUS * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    circle = magpylib.current.Circle(diameter=2 * RADIUS, current=1.0, position=center)
    polyline = magpylib.current.Polyline(vertices=vertices, current=1.0)

    candidates = {
        "loop, mpijax float32": lambda: loop_field(single, RADIUS, center, normal),
        "loop, magpylib Circle": lambda: magpylib.getB(circle, points),
        "segments, mpijax float32": lambda: segments_field(single, vertices),
        "midpoints, mpijax float32": lambda: polyline_field(single, vertices),
        "segments, magpylib Polyline": lambda: magpylib.getB(polyline, points),
    }
    timings = interleave(candidates, arguments.rounds)
    fields = {name: np.asarray(call(), np.float64) for name, call in candidates.items()}
    for name, peer, bound in (
        ("loop, mpijax float32", "loop, magpylib Circle", 2e-6),
        ("segments, mpijax float32", "segments, magpylib Polyline", 1e-5),
        ("midpoints, mpijax float32", "segments, magpylib Polyline", 2e-4),
    ):
        error = np.abs(fields[name] - fields[peer]).max() / np.abs(fields[peer]).max()
        assert error < bound, f"{name} differs from {peer} by {error:.1e} of the peak; allowed {bound:.0e}"
        print(f"{name}: largest difference {error:.1e} of the peak")
    loop, circle_, segments, midpoints, polyline_ = (timings[name] for name in candidates)
    ratios = [
        Ratio("loop against magpylib Circle", ratio(circle_, loop), 3),
        Ratio(f"{SEGMENTS} segments against magpylib Polyline", ratio(polyline_, segments), 50),
        Ratio(f"{SEGMENTS} midpoints against magpylib Polyline", ratio(polyline_, midpoints), 50),
    ]
    report("Coil fields at 35,937 points", list(timings.values()), ratios, arguments.json)


if __name__ == "__main__":
    main()

"""Rows of a drawn 3-D calibration: moments at phase nodes against moments at the samples of a period.

``python -m benchmarks.bench_phase_nodes``: fluid anisotropic particles on 12 x 12 x 16 voxels in a box of 16 x 16 x 16, 256
bins. The relative error of 20 and 24 nodes per axis is printed by mixing order: rows small beside the largest one carry more.
"""

import jax
import numpy as np

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.datasets import RestorationPrior
from mpijax.datasets.reservoir import candidate_bins
from mpijax.system import simulate_rows

BOX = (16, 16, 16)


def main() -> None:
    arguments = options(__doc__).parse_args()
    prior = RestorationPrior(3, "fluid", size_range=(12, 24))
    setup, _ = prior.draw_accepted(jax.random.key(1))
    bins = candidate_bins(setup.sequence)
    bins = bins[:: len(bins) // 256]
    compiled = {
        nodes: jax.jit(lambda setup, nodes=nodes: simulate_rows(setup, BOX, bins, nodes=nodes)[0])
        for nodes in (None, 24, 20)
    }
    names = {None: "53,856 samples", 24: "24 nodes per axis", 20: "20 nodes per axis"}
    timings = interleave({names[n]: (lambda run=run: run(setup)) for n, run in compiled.items()}, arguments.rounds)

    samples, *others = timings.values()
    want = np.asarray(compiled[None](setup))
    largest = np.abs(want).max(axis=(0, 2)) / np.abs(want).max()
    order = np.abs(setup.sequence.mixing_orders()[bins]).sum(1)
    for nodes in (24, 20):
        values = np.asarray(compiled[nodes](setup))
        error = np.linalg.norm(values - want, axis=(0, 2)) / np.linalg.norm(want, axis=(0, 2))
        for low in range(1, 21, 4):
            part = (order >= low) & (order < low + 4)
            print(
                f"{nodes} nodes, orders {low} to {low + 3}: median error {np.median(error[part]):.1e}, "
                f"largest modulus over the matrix's {np.median(largest[part]):.1e}"
            )
        assert np.median(error[order < 9]) < 1e-4
    ratios = [Ratio(f"{other.name} against the samples", ratio(samples, other)) for other in others]
    report("Rows of a 3-D calibration", list(timings.values()), ratios, arguments.json)


if __name__ == "__main__":
    main()

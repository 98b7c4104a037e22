"""The full engine: the whole density of directions stepped in time, on the host; slow, and the judge of the others."""

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mpijax.core.typing import Complex, Float, HostArray, IntVector
from mpijax.physics.dynamics.full import Field, full_moment
from mpijax.system.coils import Coils, coil_sensitivities
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


def spectra(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: Particle,
    points: Float[HostArray, "n 3"],
    coils: Coils,
    indices: IntVector | None,
) -> Complex[HostArray, "c f n"]:
    """rfft(p . m)/N over one period of a particle with dynamics, NumPy, double precision: seconds per position.

    Args:
        scanner, sequence, particle: what is simulated, all known.
        points: [m].
        coils: sensitivities; None = the moment's components.
        indices: bins (f,) to keep; None = all.
    """
    assert particle.dynamics is not None
    with jax.enable_x64(True):
        static = np.asarray(scanner.field(points), float)
        anisotropy = particle.local_anisotropy(jnp.asarray(static), 1.0)
        sensitivity = None if coils is None else np.asarray(coil_sensitivities(coils, points))
    ratios, weights = particle.sizes()
    moment = np.zeros((len(points), sequence.n_samples, 3))
    with Progress(console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task("full Fokker-Planck equation", total=len(weights))
        for i, (ratio, weight) in enumerate(zip(np.asarray(ratios), weights, strict=True)):
            one = particle.of_size(ratio)
            alpha, axis = (0.0, (0.0, 0.0, 1.0)) if anisotropy is None else map(np.asarray, anisotropy)

            def report(share: float, i: int = i) -> None:
                bar.update(job, completed=i + share)

            field = _reduced_field(one, static, sequence)
            moment += weight * full_moment(
                field,
                sequence.period,
                sequence.n_samples,
                alpha=alpha * ratio**3,
                easy_axis=axis,
                tau=float(particle.dynamics.time(one)),
                damping=float(particle.dynamics.damping),
                progress=report,
            )
    if sensitivity is not None:
        moment = np.einsum("cnv,ntv->ntc", sensitivity, moment)
    found = np.fft.rfft(moment, axis=1) / sequence.n_samples
    return (found if indices is None else found[:, indices]).transpose(2, 1, 0)


def _reduced_field(particle: Particle, static: HostArray, sequence: LissajousSequence) -> Field:
    """beta H (n, 3) at a time [s]."""
    beta, amplitude = float(particle.beta), np.asarray(sequence.amplitude) * sequence.active
    begin = np.full(3, np.pi / 2 if sequence.waveform == "cosine" else 0.0)
    phase = begin if sequence.phase is None else np.asarray(sequence.phase)
    turns = 2 * np.pi * np.array(sequence.cycles) / sequence.period
    return lambda time: beta * (static + amplitude * np.sin(turns * time + phase))

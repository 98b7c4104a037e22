"""``mpijax simulate`` and ``mpijax measure``: files to play with, without a scanner."""

from pathlib import Path
from typing import Annotated

import jax
from rich.console import Console
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.paths import Output, by, check_mdf, check_outputs
from mpijax.cli.planned import naming
from mpijax.core.checks import check_range
from mpijax.datasets.measurements import phantom_on, simulate_measurement
from mpijax.io.mdf.reconstruction import UNIT
from mpijax.plans import ScannerOptions, SimulatePlan

AS_PRESET = ScannerOptions()


def simulate(
    preset: Annotated[Positional[str], arg(metavar="PRESET")],
    output: Output,
    scanner: ScannerOptions = AS_PRESET,
    peak_snr: float = 1000.0,
    background_frames: int = 20,
    seed: int = 0,
    plan: Path | None = None,
    save_plan: Path | None = None,
) -> None:
    """Simulate a calibration and write it as MDF; what is not given is the preset's.

    Args:
        preset: 2d, 2d-fluid, 2d-immobilized, 2d-neel, 2d-brown, 3d, line, line-buaa, spectrometer or spectrometer-neel.
        output: MDF file to write.
        scanner: in place of the preset's numbers.
        peak_snr: SNR of the strongest row; sets the white noise.
        background_frames: how many frames without iron to record.
        seed: of the noise.
        plan: a file of an earlier --save-plan, which stands for the options that are not given.
        save_plan: write everything that decides the calibration as TOML.
    """
    chosen = SimulatePlan(preset, scanner, peak_snr, background_frames, seed)
    with naming(plan, chosen):
        chosen.check()
    check_mdf(output, "mpijax inspect draws it")
    check_outputs([output] if save_plan is None else [output, save_plan], [])
    scan = chosen.chosen()
    with Console(stderr=True).status(f"simulating {scan.summary}"), naming(plan, chosen):
        matrix = chosen.simulate()
        mj.io.write_system_matrix(output, matrix)
    if save_plan is not None:
        chosen.save(save_plan)
        print(f"wrote {save_plan}: the plan")
    channels, frequencies, _ = matrix.values.shape
    of = "channels" if matrix.angles is None else "angles" if len(scan.line.focus) == 1 else "positions and angles"
    print(f"wrote {output}: {channels} {of} x {frequencies} frequencies x {by(matrix.grid.shape)} voxels")


def measure(
    preset: Annotated[Positional[str], arg(metavar="PRESET")],
    phantom: Annotated[Positional[str], arg(metavar="PHANTOM")],
    output: Output,
    scanner: ScannerOptions = AS_PRESET,
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
    frames: int = 10,
    background_frames: int = 20,
    peak_snr: float = 1000.0,
    seed: int = 1,
    draw: bool = True,
) -> None:
    """Simulate the measurement of a phantom and write it as MDF, on a grid three times finer than the calibration's.

    The phantom is drawn beside the output, as .png: what an image of the measurement should show.

    Args:
        preset: as for simulate; give both commands the same options.
        phantom: shape, resolution, concentration, dots, spiral, snake, stenosis, vessels, text or empty (no iron: an empty scan).
        output: MDF file to write.
        scanner: in place of the preset's numbers.
        center: position of the phantom's center [mm].
        frames: repetitions.
        background_frames: how many frames without iron to record.
        peak_snr: as for simulate: the noise of a frame is that of one position of the calibration.
        seed: of the noise, and of the vessels.
        draw: whether to draw the phantom.
    """
    from mpijax import viz

    check_range("peak_snr", peak_snr, 1e-3, 1e12, "")
    check_mdf(output, "mpijax reconstruct makes its image")
    picture = output.with_suffix(".png")
    check_outputs([output, *([picture] if draw else [])], [])
    chosen = scanner.preset(preset)
    noise, vessels = jax.random.split(jax.random.key(seed))
    with Console(stderr=True).status(f"measuring {phantom}: {chosen.summary}"):
        nx, ny, nz = (3 if n > 1 else 1 for n in chosen.shape)
        fine = chosen.grid.refine((nx, ny, nz))
        x, y, z = (c * 1e-3 for c in center)
        concentration = phantom_on(phantom, fine, center=(x, y, z), key=vessels)
        measurement = simulate_measurement(
            chosen, concentration, fine,
            frames=frames, background_frames=background_frames, sigma=mj.datasets.noise_for_peak_snr(chosen.simulate(), peak_snr),
            key=noise,
        )  # fmt: skip
        mj.io.write_measurement(output, measurement)
    print(
        f"wrote {output}: {frames} frames, {background_frames} background frames, {phantom} phantom of up to "
        f"{concentration.max():.4g} mmol(Fe)/L on {by(fine.shape)} voxels"
    )
    if draw:
        viz.save(viz.plot_slices({phantom: fine.to_image(concentration)}, fine, unit=UNIT), picture)
        print(f"wrote {picture}: the phantom, which an image of the measurement should show")

"""``mpijax train``: networks that restore calibrations."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli import processes
from mpijax.cli.paths import by
from mpijax.core.checks import check_choice
from mpijax.plans.one_patch import one_patch
from mpijax.plans.scanner import GeometryOptions

AS_PRESET = GeometryOptions()

PRIORS = ("calibrations", "calibrations-3d")
"""Sources that draw scanners, grids and particles."""

SCANNERS = ("2d", "3d")
"""Sources that draw particles for one scanner."""


def train(
    files: Positional[tuple[Path, ...]] = (),
    task: str | None = None,
    like: Path | None = None,
    source: str | None = None,
    data_root: Path | None = None,
    run_dir: Path = Path("runs/train"),
    scale: int | None = None,
    model: str | None = None,
    preset: str = "quick",
    options: tuple[str, ...] = (),
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    snr_threshold: float = 10.0,
    min_frequency: float = 80.0,
    slices: int = 8,
    scanner: GeometryOptions = AS_PRESET,
    imperfections: bool = True,
    seed: int = 0,
    devices: int | Literal["all"] | None = None,
    distributed: bool = False,
    coordinator: str | None = None,
    n_processes: Annotated[int | None, arg(name="processes")] = None,
    process: int | None = None,
) -> None:
    """Train a network to restore calibrations, on calibrations of yours or simulated ones; started again, it continues.

    Afterwards `mpijax restore sm.mdf -o better.mdf --task TASK --method RUN_DIR` uses it. To upsample, coarse rows are means of
    fine ones over scale x scale voxels, as a sample of that size measures them; for the other tasks noise and gaps are drawn. Of
    files, every tenth block of 16 rows is held out; simulated sources hold out other matrices.

    Args:
        files: MDF files with calibrations.
        task: upsample, denoise, inpaint or complete, or one that an installed package brings; not given = upsample, and with --like
            denoise.
        like: a calibration of your scanner: grid, fields, frequencies, channels and noise are read off it, and calibrations like
            it are simulated with random particles (for denoise, inpaint, complete). What it lacks, or says wrongly, is given by
            --gradient, --amplitude, --dividers, --base-frequency, --shape and --fov.
        source: what to train on instead of files. One scanner with random particles: 2d or 3d, with your scanner's gradient,
            amplitude, shape and fov in place of the preset's (for denoise, inpaint, complete). Random scanners and particles:
            calibrations, calibrations-3d (the same tasks). Planar rows of one grid: ffl (a field-free line, the TranSMS paper's
            66 matrices), in-house (its own scanner's, simulated), lissajous (a planar field-free point), vrfnet-1 and vrfnet-2
            (the VRF-Net paper's scans), or of a copy of the Open MPI data set open-mpi-temporal, open-mpi-tracer,
            open-mpi-vrfnet.
        data_root: folder of the Open MPI data set.
        run_dir: receives weights, metrics and checkpoints.
        scale: of upsample 2, 4 or 8; of complete the step between measured positions; not given = 2.
        model: to upsample vrfnet (not given), transms, consistent_unet, srcnn, vdsr, mdsr or smrnet; else wiener_unet (not given),
            unet, dncnn, rdn, swinir or pconv_unet; or the name of a network that an installed package brings.
        preset: quick (a small variant for two cores) or published (the paper's network and recipe, to upsample).
        options: of the network, each as name=value, e.g. features=16 blocks=4.
        steps: of training; not given = the preset's, as for the next two.
        batch_size: rows per step.
        learning_rate: of the first step.
        snr_threshold: of files: least SNR of a row.
        min_frequency: of files: least frequency [kHz].
        slices: of files: central z slices used of each row.
        scanner: in place of the numbers of --like, or of the source 2d or 3d; particles and concentration are drawn.
        imperfections: of simulated calibrations: whether coils, selection fields and sizes are drawn that are not ideal.
        seed: of weights and batches.
        devices: of this machine that share the rows of a batch, or all; not given = one, and with --distributed those that JAX
            gives each process.
        distributed: this is one of several processes that train together, all started with the same options and a run directory
            that all see. Under Slurm and Open MPI 4 JAX finds the others.
        coordinator: HOST:PORT of process 0, where JAX does not find it.
        n_processes: how many processes there are.
        process: number of this one, from 0.
    """
    from mpijax import restoration
    from mpijax.restoration.training import complete
    from mpijax.rows import task_of
    from mpijax.training.logging import MetricsLog

    if run_dir.exists() and not run_dir.is_dir():
        raise ValueError(f"{run_dir} is a file; give the name of a folder for the run.")
    given = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}
    if learning_rate is not None:
        given["final_learning_rate"] = learning_rate / 100
    wanted = task_of(task or ("upsample" if like is None else "denoise"), scale=scale)
    factor = wanted.seen_factor
    chosen = restoration.recipe(
        model or ("vrfnet" if factor > 1 else "wiener_unet"),
        factor,
        preset,
        seed=seed,
        **{k: v for k, v in given.items() if v is not None},
    )
    extra = _options(options)
    for file in files:  # before the others wait for this process
        one_patch(file)
    with processes.joined(distributed, coordinator, n_processes, process, devices) as say:
        shared = processes.sharding(devices)
        rows: Any
        pairs: Any = wanted
        if like is not None or source in PRIORS or source in SCANNERS:
            if like is not None:
                own = _like(like, source, files, data_root, scanner)
                rows, pairs = own.calibrations, own.pairs(wanted)
                for remark in own.remarks:
                    say(f"like {like}: {remark}")
            else:
                rows = _simulated(str(source), files, data_root, factor, scanner)
            if source in SCANNERS:
                say(_scanner_words(scanner.preset(source)))
            if not imperfections:
                rows = replace(rows, imperfections=None)
            elif rows.imperfections is not None:
                say(rows.imperfections.describe())
        else:
            if scanner != AS_PRESET:
                raise ValueError(
                    f"the scanner options belong to --like and the sources {', '.join(SCANNERS)}; leave them out."
                )
            if not imperfections:
                raise ValueError(
                    f"--no-imperfections belongs to --like and the sources {', '.join((*SCANNERS, *PRIORS))}; leave it out."
                )
            low = min_frequency * 1e3
            rows = _rows(source, files, data_root, factor, snr_threshold, low, slices, chosen.config, seed)
            if factor > 1:
                pairs = _coarse(rows, factor, chosen.task)
            say(rows.description)
        wanted_run: tuple[Any, ...] = pairs, rows, chosen.model, chosen.config
        place: dict[str, Any] = {"run_dir": run_dir, "options": chosen.options | extra, "sharding": shared}
        if complete(*wanted_run, **place):
            scores = _scores(MetricsLog(run_dir / "metrics.jsonl").records())
            say(
                f"{run_dir} is complete, nothing is left to do: weights.npz of {chosen.config.steps} steps{_words(scores)}"
            )
            say("more steps are another run: --steps N and another --run-dir")
            return
        result = restoration.train(*wanted_run, **place)
        say(f"wrote {run_dir / 'weights.npz'}{_words(_scores(result.metrics))}")


def _scores(records: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [record["validation"] for record in records if "validation" in record]


def _words(scores: list[dict[str, float]]) -> str:
    """What came of it, of the scores before, during and after training."""
    if not scores:
        return ""
    error = "nrmse" in scores[0]
    values = [score["nrmse" if error else "psnr"] for score in scores]
    best = min(values) if error else max(values)
    kept = "" if best == values[-1] else f", {values[-1]:.4g} at the end, where the best weights are kept"
    if error:
        return f": nRMSE {best:.4f} on held-out rows of maximum 1 ({values[0]:.4f} before training{kept})"
    return f": PSNR {best:.2f} dB on held-out rows ({values[0]:.2f} dB before training{kept})"


def _scanner_words(preset: Any) -> str:
    """For which scanner is trained: what is not given is the preset's, and should not be so unnoticed."""
    numbers = {
        f"{by(preset.shape)} voxels on": ([1e3 * x for x in preset.fov], "mm"),
        "gradient": (preset.gradient, "T/m"),
        "drive amplitude": ([1e3 * x for x in preset.amplitude], "mT"),
    }
    words = [f"{name} {' x '.join(f'{x:g}' for x in values)} {unit}" for name, (values, unit) in numbers.items()]
    return f"for the scanner of {', '.join(words)}; particles are drawn"


def _like(
    file: Path, source: str | None, files: tuple[Path, ...], data_root: Path | None, scanner: GeometryOptions
) -> Any:
    """Calibrations like that of a file."""
    from mpijax.restoration import like

    others = {"--source": source, "a file beside it": files, "--data-root": data_root}
    if given := [name for name, value in others.items() if value]:
        raise ValueError(f"--like {file} says what is trained on, and so does {' and '.join(given)}; leave one out.")
    return like(file, **scanner.numbers())


def _simulated(
    source: str, files: tuple[Path, ...], data_root: Path | None, factor: int, scanner: GeometryOptions
) -> Any:
    """Calibrations that are simulated while the network trains."""
    from mpijax.datasets import SIMULATED, Calibrations, RestorationPrior
    from mpijax.datasets.calibrations import VOLUMES

    _check_alone(source, files, data_root)
    if factor > 1:
        raise ValueError(
            f"source = {source!r} trains denoise, inpaint and complete: give one of them as --task. To upsample, train on files of "
            f"yours or on a source that has one grid: {', '.join(SIMULATED)}."
        )
    if source in SCANNERS:
        return Calibrations.of_scanner(scanner.preset(source))
    if scanner != AS_PRESET:
        raise ValueError(f"source = {source!r} draws its scanners; leave out the scanner options.")
    if source == "calibrations":
        return Calibrations(RestorationPrior(2, size_range=(8, 48)))
    return Calibrations(RestorationPrior(3, size_range=(12, 24)), (24,), 12, **VOLUMES)


def _coarse(rows: Any, scale: int, task: dict[str, Any]) -> Any:
    from mpijax.datasets import CoarseMeasurement

    units = {} if rows.facts.get("noise_known", True) else {"units": "row"}
    return CoarseMeasurement(scale=scale, sample=rows.sample, target=rows.target, **task | units)


def _check_alone(source: str, files: tuple[Path, ...], data_root: Path | None) -> None:
    if files:
        raise ValueError(f"source = {source!r} and {len(files)} file(s) are given; train on one of them.")
    if data_root is not None:
        raise ValueError(f"source = {source!r} is simulated; leave out --data-root.")


def _rows(
    source: str | None,
    files: tuple[Path, ...],
    data_root: Path | None,
    factor: int,
    snr_threshold: float,
    low: float,
    slices: int,
    config: Any,
    seed: int,
) -> Any:
    """Rows of one grid: of files, of a simulated source, or of a protocol of the Open MPI data set."""
    from mpijax.datasets import OPEN_MPI_PROTOCOLS, SIMULATED, open_mpi_source, simulated_source

    size = config.batch_size
    if source is None:
        return _from_files(files, factor, snr_threshold, low, slices, size)
    measured = tuple(f"open-mpi-{protocol}" for protocol in OPEN_MPI_PROTOCOLS)
    check_choice("source", source, (*SIMULATED, *measured, *SCANNERS, *PRIORS))
    if source not in measured:
        _check_alone(source, files, data_root)
        return simulated_source(source, factor, batch_size=size, seed=seed)
    if files:
        _check_alone(source, files, None)
    if data_root is None:
        raise ValueError(f"source = {source!r} needs the data set; give its folder with --data-root.")
    return open_mpi_source(data_root, source.removeprefix("open-mpi-"), factor, batch_size=size)


def _from_files(
    files: tuple[Path, ...], scale: int, snr_threshold: float, low: float, slices: int, batch_size: int
) -> Any:
    """Rows of the user's own calibrations, with the noise that their background frames tell."""
    from mpijax.datasets import RowPool, Rows, TrainingRows, frequency_ranks, measured_images, split_rows
    from mpijax.restoration import background_noise

    if not files:
        raise ValueError("nothing to train on; name at least one MDF file with a calibration, or a --source.")
    matrices = [one_patch(file).select(snr_threshold=snr_threshold, min_frequency=low).read() for file in files]
    for file, matrix in zip(files, matrices, strict=True):
        if scale == 1 and matrix.grid.shape[2] > 1:
            raise ValueError(
                f"{file} is a volume, whose rows are restored whole and not slice by slice; train on --source 3d with the options "
                "of your scanner, or on --source calibrations-3d."
            )
    images = measured_images(matrices, scale, slices=slices)
    sigma = np.concatenate([_noise_of_images(m, slices, background_noise(m)) for m in matrices])
    ranks = [frequency_ranks(m) for m in matrices]
    before = np.cumsum([0, *map(len, ranks)])
    row = np.concatenate(  # all slices of a row are held out together, and its neighbors in frequency
        [np.repeat(rank + n, min(slices, m.grid.shape[2])) for rank, n, m in zip(ranks, before, matrices, strict=False)]
    )
    rows, held_out = split_rows(images, row=row)
    sigma, held_sigma = split_rows(sigma, row=row)
    return TrainingRows(
        name=", ".join(file.name for file in files),
        description=f"{len(rows)} rows to train on, {len(held_out)} held out, {rows.shape[2]} x {rows.shape[1]} voxels",
        facts={
            "files": [str(file) for file in files],
            "snr_threshold": snr_threshold,
            "min_frequency": low,
            "slices": slices,
            "noise_known": bool(np.all(sigma > 0)),
        },
        rows=RowPool(rows, sigma, batch_size=batch_size),
        validation=Rows(held_out, held_sigma, measured=True),
        target="noisy",
    )


def _noise_of_images(matrix: mj.SystemMatrix, slices: int, noise: np.ndarray | None) -> np.ndarray:
    """Noise of every slice of every row, 0 where nothing is known."""
    row = np.zeros(len(matrix.rows())) if noise is None else np.nan_to_num(noise)
    return np.repeat(row, min(slices, matrix.grid.shape[2])).astype(np.float32)


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"option {word!r}; give name=value, e.g. features=16.")
        if name in ("scale", "input_shape", "channels", "rngs"):
            raise ValueError(f"option {word!r}; {name} is decided by --scale, the rows and --seed.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options

"""Many measurements in one command: the matrix read and the solver prepared once, what is there left out, failures listed."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mpijax.cli import failures
from mpijax.cli.blocks import BlockOptions
from mpijax.cli.making import Made, Maker, Targets, progress
from mpijax.cli.planned import naming
from mpijax.cli.tally import warn_unconverged
from mpijax.plans import Calibration, ReconstructPlan
from mpijax.plans.solvers import name_of

SUFFIX = ".mdf"


@dataclass
class Outcome:
    """What became of a measurement: images, a failure, or neither where they were there; and whether more was said of it."""

    measurement: Path
    made: Made | None = None
    failure: str = ""
    remarked: bool = False

    @property
    def word(self) -> str:
        """One word for the table."""
        return "FAILED" if self.failure else "there before" if self.made is None else "written"


def folder(output: str, measurements: Sequence[Path]) -> Path | None:
    """The folder that an output names: one that is there, or a name without a suffix or with a slash behind; None = a file.

    Raises:
        ValueError: no measurement, or several and a file.
    """
    if not measurements:
        raise ValueError("no measurement is given; give its file behind the system matrix, or several files.")
    path = Path(output)
    if output.endswith(("/", os.sep)) or path.is_dir() or not path.suffix:
        return path
    if len(measurements) > 1:
        raise ValueError(
            f"{output} names a file, and {len(measurements)} measurements are given; give a folder, -o images/."
        )
    return None


def check_alone(names: list[str]) -> None:
    """Raise ValueError for options of a single measurement."""
    if names:
        raise ValueError(
            f"{' and '.join(names)} is for a single measurement that is written into a file; leave it out."
        )


def targets(measurements: Sequence[Path], into: Path) -> list[Targets]:
    """What is written of each measurement: its name with .mdf and .png.

    Raises:
        ValueError: two of them have the same name.
    """
    names: dict[str, Path] = {}
    for path in measurements:
        other = names.setdefault(path.stem, path)
        if other is not path:
            raise ValueError(
                f"{other} and {path} would both be written to {into / path.stem}{SUFFIX}; give each a folder of its own."
            )
    return [Targets(into / f"{name}{SUFFIX}", into / f"{name}.png") for name in names]


def save(plan: ReconstructPlan, path: Path) -> None:
    """Write the plan and say so."""
    plan.save(path)
    print(f"wrote {path}: the plan")


def make(
    plan: ReconstructPlan,
    blocks: BlockOptions,
    system_matrix: Path,
    work: list[tuple[Path, Targets]],
    overwrite: bool,
    plan_file: Path | None,
    save_plan: Path | None,
) -> None:
    """Make the images of all measurements.

    Args:
        plan: what decides them; plan_file: that stood for the options that were not given, or None.
        blocks: how many frames are solved together, and on what.
        system_matrix: file of the calibration; work: measurements, and what is written of each.
        overwrite: whether to make what is there already.
        save_plan: where to write the plan in the end, or None.

    Raises:
        SystemExit: status 1, at the end, where one of them failed.
        FileNotFoundError, MDFError, ValueError: the system matrix cannot be read.
    """
    calibration = plan.calibration(system_matrix)
    outcomes = {path: Outcome(path) for path, _ in work}
    missing = [item for item in work if overwrite or not _is_there(plan, calibration, *item, outcomes[item[0]])]
    try:
        _make_missing(plan, plan_file, blocks, calibration, missing, outcomes)
    except KeyboardInterrupt:
        done = sum(outcome.made is not None for outcome in outcomes.values())
        print(f"stopped: {done} of {len(missing)} are written; the same command goes on from there.", file=sys.stderr)
        raise
    _print(list(outcomes.values()), work[0][1].image.parent)
    if save_plan is not None:
        save(plan, save_plan)
    if any(outcome.failure for outcome in outcomes.values()):
        sys.exit(1)


def _is_there(
    plan: ReconstructPlan, calibration: Calibration, measurement: Path, targets: Targets, outcome: Outcome
) -> bool:
    """Whether nothing is to be done: images are there, or others, which is a failure."""
    if not targets.image.exists():
        return False
    try:
        differing = plan.differing(targets.image, calibration.info.path, measurement)
        if differing:
            raise ValueError(
                f"{targets.image} is there, made otherwise: {'; '.join(differing)}. --overwrite makes it anew."
            )
    except failures.EXPECTED as error:
        _fail(outcome, error)
        return True
    return targets.png.exists()


def _make_missing(
    plan: ReconstructPlan,
    plan_file: Path | None,
    blocks: BlockOptions,
    calibration: Calibration,
    missing: list[tuple[Path, Targets]],
    outcomes: dict[Path, Outcome],
) -> None:
    if not missing:
        return
    with Console(stderr=True).status("reading the system matrix"):
        calibration.matrices  # noqa: B018  (whose failure is that of all)
    with progress() as bar:
        maker = Maker(plan, {name_of(plan.solver): plan.solver}, blocks, bar)
        task = bar.add_task("measurements", total=len(missing))
        for measurement, targets in missing:
            outcome = outcomes[measurement]
            with failures.warned(f"{measurement}: ") as said:
                try:
                    with naming(plan_file, plan):
                        outcome.made = maker(calibration, measurement, targets)
                except failures.EXPECTED as error:
                    _fail(outcome, error)
                else:
                    _remark(outcome.made, measurement)
            outcome.remarked = bool(said or (outcome.made and outcome.made.unlike))
            bar.advance(task)


def _remark(made: Made, measurement: Path) -> None:
    """What a single command says of the two files, and of the solver."""
    for line in made.unlike:
        print(f"{measurement}: {line}", file=sys.stderr)
    warn_unconverged(made.tallies)


def _fail(outcome: Outcome, error: BaseException) -> None:
    outcome.failure = failures.text(error)
    print(f"error: {outcome.measurement}: {outcome.failure}", file=sys.stderr)


def _print(outcomes: list[Outcome], into: Path) -> None:
    """A line per measurement, and how many there are of each outcome."""
    table = Table(box=None, pad_edge=False)
    for title in ("measurement", "images", "residual", "largest / mmol(Fe)/L", "seconds", ""):
        table.add_column(title)
    for outcome in outcomes:
        cells = ["-"] * 4
        if outcome.made is not None:
            (tally,) = outcome.made.tallies.values()
            residual = "-" if tally.residual is None else f"{tally.residual / tally.images:.2%}"
            cells = [str(tally.images), residual, f"{tally.largest:.4g}", f"{tally.seconds:.2f}"]
        table.add_row(outcome.measurement.name, *cells, f"{outcome.word} *" if outcome.remarked else outcome.word)
    Console().print(table)
    if any(outcome.remarked for outcome in outcomes):
        print("* see what is said of it above")
    counts = [(sum(o.word == word for o in outcomes), word) for word in ("written", "there before", "FAILED")]
    print(f"{into}: {', '.join(f'{n} {word}' for n, word in counts if n)} of {len(outcomes)} measurements")

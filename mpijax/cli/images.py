"""``mpijax reconstruct``: from MDF files to images."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mpijax.cli import batch
from mpijax.cli.blocks import BlockOptions
from mpijax.cli.making import Maker, Targets
from mpijax.cli.paths import check_outputs
from mpijax.cli.planned import naming
from mpijax.cli.solvers import Asked
from mpijax.cli.tally import print_table
from mpijax.plans import DataOptions, ReconstructPlan, RowOptions

ROWS, DATA, BLOCKS = RowOptions(), DataOptions(), BlockOptions()


def reconstruct(
    system_matrix: Annotated[Positional[Path], arg(metavar="SYSTEM_MATRIX")],
    measurements: Annotated[Positional[tuple[Path, ...]], arg(metavar="MEASUREMENT")],
    output: Annotated[str, arg(aliases=["-o"], metavar="PATH")],
    solver: Asked,
    compare: bool = False,
    rows: RowOptions = ROWS,
    data: DataOptions = DATA,
    blocks: BlockOptions = BLOCKS,
    seed: int = 0,
    nifti: Path | None = None,
    png: Path | None = None,
    overwrite: bool = False,
    plan: Path | None = None,
    save_plan: Path | None = None,
) -> None:
    """Reconstruct a measurement; write the images [mmol(Fe)/L] and a picture of them.

    A solver is named behind the files, with its options: kaczmarz (also without a name), tikhonov, admm (L1 norm and total
    variation), neural (a network of the coordinates; minutes) or one that an installed package adds; mpijax reconstruct admm --help
    lists its options.

    Many frames are read, solved and written in blocks. Stopped in the middle, the same command goes on at the first missing block.

    Several measurements are written into a folder, each under its own name; the matrix is read, and the solver prepared, once. One
    that fails does not stop the others. The same command leaves out what is there already, if it was made of the same files by the
    same plan.

    Args:
        system_matrix: MDF file with a calibration; one of several periods (patches) is reconstructed jointly.
        measurements: MDF file with a measurement of the same sequence, or several of them.
        output: file to write, by its suffix: MDF, NIfTI (.nii, .nii.gz), or a format that an installed package adds; or a folder
            for MDF files, also of a single measurement: one that is there, a name without a suffix, or with a slash (images/).
        solver: how the equations are solved.
        compare: draw kaczmarz, tikhonov, admm and the chosen solver side by side; the file holds the chosen one.
        rows: which rows are used.
        data: which frames are used, and their background.
        blocks: how many frames are solved together, and on what.
        seed: of what is random in a solver, such as the neural field.
        nifti: also write the images as NIfTI (.nii, .nii.gz), all at once.
        png: picture to draw (.png, .pdf, .svg); not given = beside the output.
        overwrite: in a folder: make anew what is there already.
        plan: a file of --save-plan or of mpijax plan, which stands for the options that are not given.
        save_plan: write everything that decides the images, without the names of the files, as TOML.
    """
    solvers = solver.solvers()
    chosen = ReconstructPlan(rows, data, next(reversed(solvers.values())), seed)
    inputs = [system_matrix, *measurements] + ([] if data.empty is None else [data.empty])
    folder = batch.folder(output, measurements)
    if folder is not None:
        named = {"--compare": compare, "--nifti": nifti, "--png": png}
        batch.check_alone([name for name, value in named.items() if value])
        targets = batch.targets(measurements, folder)
    else:
        image = Path(output)
        targets = [Targets(image, image.with_suffix(".png") if png is None else png, nifti)]
    written = [path for each in targets for path in each.paths]
    kept = [path for path in (plan,) if path is not None]
    if save_plan is not None:
        check_outputs([save_plan, *written], inputs)
    for each in targets:
        each.check([*inputs, *kept])
    with naming(plan, chosen):
        if folder is not None:
            work = list(zip(measurements, targets, strict=True))
            batch.make(chosen, blocks, system_matrix, work, overwrite, plan, save_plan)
            return
        made = Maker(chosen, solvers, blocks)(system_matrix, measurements[0], targets[0])
    print_table(made.tallies, made.grid)
    print(made.words(targets[0]))
    if save_plan is not None:
        batch.save(chosen, save_plan)

"""The command line: ``mpijax info | inspect | simulate | measure | reconstruct | fit | train | restore``.

Units of the lab are used here and only here: mT, mm, nm, kHz.
"""

import os
import sys

import tyro
from tyro.extras import SubcommandApp

from mpijax.cli.calibrations import fit, restore, train
from mpijax.cli.images import reconstruct
from mpijax.cli.look import info, inspect
from mpijax.cli.simulated import measure, simulate

app = SubcommandApp()
for command in (info, inspect, simulate, measure, reconstruct, fit, train, restore):
    app.command(command)


def main() -> None:
    """Entry point; every expected failure is one line on standard error."""
    try:
        app.cli(prog="mpijax", description=(__doc__ or "").splitlines()[0], config=(tyro.conf.OmitArgPrefixes,))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError as error:
        print(f"error: not enough memory ({error}); choose fewer voxels (--shape) or frequencies.", file=sys.stderr)
        sys.exit(2)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

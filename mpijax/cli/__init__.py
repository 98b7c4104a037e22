"""The command line: ``mpijax info | inspect | simulate | measure | reconstruct | fit | train | restore``.

Units of the lab are used here and only here: mT, mm, nm, kHz.
"""

import functools
import os
import re
import sys
import warnings
from typing import Any

from mpijax.cli import fit, images, look, restore, simulated, train
from mpijax.cli.parser import parse
from mpijax.cli.solvers import choose, with_options

COMMANDS = (
    look.info,
    look.inspect,
    simulated.simulate,
    simulated.measure,
    images.reconstruct,
    fit.fit,
    train.train,
    restore.restore,
)


def main() -> None:
    """Entry point; every expected failure, and every warning, is one line on standard error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            said: set[str] = set()
            warnings.showwarning = functools.partial(_warn, said)
            words, asked = choose(sys.argv[1:]) if sys.argv[1:2] == ["reconstruct"] else (sys.argv[1:], choose(())[1])
            commands = [with_options(c, asked) if c is images.reconstruct else c for c in COMMANDS]
            parse(commands, (__doc__ or "").splitlines()[0], words)()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError as error:
        print(f"error: not enough memory ({error}); choose fewer voxels (--shape) or frequencies.", file=sys.stderr)
        sys.exit(2)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, ImportError) as error:
        text = re.sub(r"\[Errno \d+\] ", "", str(error))
        print(f"error: {text}", file=sys.stderr)
        sys.exit(2)


def _warn(said: set[str], message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """One line for each text, however often it is said."""
    if str(message) not in said:
        said.add(str(message))
        print(f"warning: {message}", file=sys.stderr)

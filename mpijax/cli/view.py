"""``mpijax view``: a page in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mpijax.core.checks import check_range
from mpijax.io.formats import check_input


def view(
    files: Annotated[Positional[tuple[Path, ...]], arg(metavar="FILE")],
    empty: Path | None = None,
    browser: bool = True,
    port: int | None = None,
) -> None:
    """Look at a calibration and at measurements in the browser, and reconstruct while a slider moves.

    The page is for this machine alone, behind a random token in its address. Ctrl-C ends it.

    Args:
        files: MDF files: a calibration, or two to compare, and measurements.
        empty: MDF file of an empty scan; the mean of its frames is the background of the measurements.
        browser: open the page; otherwise only its address is printed.
        port: to listen at; not given = a free one.
    """
    try:
        from mpijax.view.page.document import Opened
        from mpijax.view.server import ViewServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("bokeh", "tornado"):
            raise
        raise ImportError("mpijax view needs Bokeh, the extra 'view' of mpijax: pip install 'bokeh>=3.9,<4'.") from None
    if not files:
        raise ValueError("no file is given; mpijax view sm.mdf [measurement.mdf ...].")
    for path in (*files, *([] if empty is None else [empty])):
        check_input(path)
    if port is not None:
        check_range("port", port, 1, 65535, "")
    opened = Opened.create(files, empty)
    server = ViewServer(opened.build, port)
    server.loop.add_callback(print, f"{server.address}\nCtrl-C ends it.", flush=True)  # once it does
    if browser:
        webbrowser.open(server.address)
    server.run()

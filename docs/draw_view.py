"""Screenshots of every tab of ``mpijax view`` at 1280 x 720, from simulated files and a Chromium.

Command:  python docs/draw_view.py     (minutes; writes docs/figures/view_*.png)
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.view import browser  # noqa: E402
from tests.view.session import served  # noqa: E402


def main() -> None:
    """Simulate, restore, open, look."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        matrix, restored, scan = (folder / part for part in ("sm.mdf", "restored.mdf", "snake.mdf"))
        command(folder, "simulate", "2d", "-o", matrix)
        command(folder, "measure", "2d", "snake", "-o", scan)
        command(folder, "restore", matrix, "-o", restored, "--task", "denoise", "--no-identify")
        with served([matrix, restored, scan]) as server, browser.opened(server.address) as page:
            page.says("channel ")
            page.type("mx", 4)
            page.type("my", -1)
            page.says("(4, −1, 0)")
            for title in page.of("Tabs", "model.tabs.map(t => t.title)"):
                page.enter(title)
                if title == "Reconstruction":
                    tune(page, folder)
                page.wait("the end of the work", lambda: "working" not in page.texts())
                time.sleep(3)
                keep(page.driver.get_screenshot_as_png(), ROOT / "docs" / "figures" / f"view_{title.lower()}.png")


def tune(page: browser.Browser, folder: Path) -> None:
    """Some images in the history."""
    page.says("residual", 120)
    page.type("write to (without suffix)", folder / "image")
    for steps in (-30, 20, 20, 5, -20):
        page.slide("lambda", steps)
        time.sleep(1)


def command(folder: Path, *words: object) -> None:
    """One command of mpijax."""
    subprocess.run([sys.executable, "-m", "mpijax.cli", *map(str, words)], check=True, cwd=folder, capture_output=True)


def keep(png: bytes, path: Path) -> None:
    """A screenshot in few bytes."""
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main()

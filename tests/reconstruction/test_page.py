"""The snippets of docs/reconstruction.md run as they stand and show what the page says."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reconstruction.md"


def test_the_page_runs(capsys):
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(snippet, names)
    lines = capsys.readouterr().out.splitlines()
    error = float(lines[0].split()[-1])
    plain, fitted = (float(line.split()[1]) for line in lines[1:])
    assert error < 0.35 and fitted < 1.3 * error and fitted < 0.5 * plain
    bounded = np.asarray(names["bounded"].value)[0, 0]
    assert np.linalg.norm(bounded - names["truth"]) < 0.35 * np.linalg.norm(names["truth"])

"""The snippets of docs/reconstruction.md run as they stand and show what the page says."""

import re
from pathlib import Path

import numpy as np

from mpijax.reconstruction.solvers import registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reconstruction.md"


def test_the_page_runs(capsys, monkeypatch):
    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    names = {"__name__": "page"}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(snippet, names)
    lines = capsys.readouterr().out.splitlines()
    error = float(lines[0].split()[-1])
    plain, fitted = (float(line.split()[1]) for line in lines[1:])
    assert error < 0.35 and fitted < 1.3 * error and fitted < 0.5 * plain
    bounded = np.asarray(names["bounded"].value)[0, 0]
    assert np.linalg.norm(bounded - names["truth"]) < 0.35 * np.linalg.norm(names["truth"])
    stepped, mixed = (np.asarray(names[name].value)[0, 0] for name in ("stepped", "mixed"))
    np.testing.assert_array_equal(np.asarray(names["named"].value)[0, 0], stepped)
    for image in (stepped, mixed):
        assert np.linalg.norm(image - names["truth"]) < 0.5 * np.linalg.norm(names["truth"])

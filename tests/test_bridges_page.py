"""The snippets of docs/bridges.md run as they stand, where the libraries are installed that they are about."""

import importlib.util
import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bridges.md"
OPTIONAL = {"scico": "scico", "deepinv": "deepinv", "xarray": "xarray"}


def test_the_page_runs():
    names = {}
    ran = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE):
        title = section.partition("\n")[0]
        if title in OPTIONAL and importlib.util.find_spec(OPTIONAL[title]) is None:
            continue
        for snippet in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            exec(snippet, names)
            ran.append(title)
    assert len(ran) >= 3
    back = names["matrix"].adjoint(names["data"]).real.reshape(1, 10, 12)
    np.testing.assert_allclose(names["back"], back, rtol=1e-3, atol=1e-5 * np.abs(back).max())
    assert names["shared"] and names["given"].shape == names["data_shape"]
    if "row" in names:
        assert names["row"].dims == ("y", "x") and names["profile"].shape == (12,)
    if "x_hat" in names:
        assert tuple(names["x_hat"].shape) == (1, 1, 10, 12)
        rows = np.asarray(names["matrix"].rows())
        largest = np.linalg.norm(np.vstack([rows.real, rows.imag]), 2) / np.linalg.norm(rows)
        np.testing.assert_allclose(names["norm"], largest**2, rtol=1e-2)
    if "y" in names and "deepinv" in ran:
        assert tuple(names["y"].shape) == (1, 2, *names["data_shape"])

"""The page on training data on the fly runs as it stands."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training_stream.md"


def test_the_page(capsys):
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(snippet, str(PAGE), "exec"), names)
    batch = names["batch"]
    assert batch["input"].shape == batch["target"].shape == (8, 16, 16, 2)
    assert np.all(np.isfinite(batch["input"])) and np.any(batch["input"] != batch["target"])
    assert "core diameter" in capsys.readouterr().out

"""docs/networks.md: its snippet runs, and the counts in its tables are those of the networks."""

import re
from pathlib import Path

import jax
import pytest

from tests.models.grids import count

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text()
SHAPES = {2: (16, 16), 4: (8, 8), 8: (4, 4)}


def numbers(cell):
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d{3}", cell)]


def test_the_snippet_runs(capsys):
    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    jax.eval_shape(lambda: exec(snippet, {}))  # traced: the network is never computed
    assert capsys.readouterr().out == "(8, 52, 92, 2)\n"


@pytest.mark.parametrize("name", ["transms", "vrfnet", "consistent_unet", "srcnn", "vdsr", "mdsr", "smrnet"])
def test_counts_of_the_table(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, re.MULTILINE)
    written = numbers(row.split("|")[3])
    found = [count(name, scale=scale, input_shape=shape) for scale, shape in SHAPES.items()]
    assert written == found[: len(written)] and set(written) == set(found)


def test_counts_of_the_ablations_in_the_table():
    rows = re.findall(
        r"^\| *(TranSMS|VRF-Net|consistent U-Net|) *\| ([^|]+) \| `(\w+=[^`]*)`[^|]* \| ([\d,]+)", TEXT, re.MULTILINE
    )
    assert len(rows) == 14
    paper = ""
    for head, _, options, number in rows:
        paper = head or paper
        config = {"input_shape": (16, 16)} | eval(f"dict({options})")
        name = {"TranSMS": "transms", "VRF-Net": "vrfnet", "consistent U-Net": "consistent_unet"}[paper]
        assert count(name, scale=2, **config) == int(number.replace(",", "")), options


def test_counts_of_the_networks_of_images():
    rows = re.findall(r"^\| (?:`(\w+)`)? ?\| `(\w+=[^`]*)`[^|]* \| ([\d,]+) / ([\d,]+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 8
    name = ""
    for head, options, gray, colored in rows:
        name = head or name
        options = eval(f"dict({options})")
        one = count(name, channels=1, **options)
        assert one == int(gray.replace(",", "")), (name, options)
        if head:  # once per network: every count takes a second
            assert count(name, channels=3, **options) == int(colored.replace(",", "")), (name, options)

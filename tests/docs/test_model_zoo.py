"""The model zoo: figures on the cards are those of the report, and the tables say what the cards say."""

import re
from pathlib import Path

import model_zoo as zoo
import pytest

REPORT = (Path(__file__).resolve().parents[2] / "experiments" / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("denoise_2d", "denoise, white noise"),
        ("denoise_2d", "denoise, background noise"),
        ("restore_2d", "inpaint, white noise"),
        ("restore_2d", "complete, white noise"),
        ("upsample_2d", "upsample, white noise"),
    ],
)
def test_out_of_model_figures_are_those_of_the_report(name, case):
    section = re.search(rf"^### {case}.*?(?=^###|\Z)", REPORT, re.MULTILINE | re.DOTALL | re.IGNORECASE)[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| {name} |"))
    written = [float(number) for number in re.findall(r"(\d+\.\d) \(", row)]
    lines = zoo.cards()[name]["metadata"]["figures"]["reality_gap"]["figures"][case]
    assert written == [line["psnr"][0] for line in lines if line["method"] == name]


@pytest.mark.parametrize("name", ["denoise_2d", "restore_2d", "restore_3d", "upsample_2d"])
def test_every_figure_has_its_kind_truth_and_command(name):
    metadata = zoo.cards()[name]["metadata"]
    for evaluation in metadata["figures"].values():
        assert evaluation["kind"] in zoo.KINDS
        assert evaluation["command"].startswith("python -m experiments.") and evaluation["truth"]
        assert list(zoo.cases(evaluation))
    text = zoo.section(name, {"metadata": metadata})
    assert all(f"**{kind.capitalize()}:**" in text for kind in zoo.KINDS)
    assert ("not measured, for" in text) == (name in zoo.NOT_MEASURED)


def test_tables_of_a_card():
    evaluation = {
        "networks": ["mine", "other"],
        "figures": {
            "0.1": [
                {"range": "all", "method": "mine", "psnr": [30.0, 29.0, 31.0]},
                {"range": "all", "method": "other", "psnr": [40.0]},
                {"range": "all", "method": "filter", "psnr": [28.0]},
                {"range": "(8, 16]", "method": "filter", "psnr": [50.0]},
            ],
            "0": [{"method": "mine", "psnr": [120.0]}, {"method": "filter", "psnr": [120.0]}],
            "upsample": [{"method": "mine", "relative_error": [0.3]}, {"method": "a", "relative_error": [0.2]}],
        },
    }
    found = list(zoo.cases(evaluation))
    assert zoo.by_case("mine", found).splitlines()[2:] == [
        "| noise 0.1 | PSNR [dB] | 30.0 (29.0 to 31.0) | 28.0 | filter |",
        "| upsample | relative error | 0.300 | 0.200 | a |",
    ]
    lines = [{"truth": "rods", "method": "mine", "psnr": [9.5]}, {"truth": "rods", "method": "a", "psnr": [9.0]}]
    found = list(zoo.cases({"networks": ["mine"], "figures": {"white noise": lines}}))
    assert zoo.by_truth("mine", found).splitlines()[2:] == ["| rods | **9.5** / 9.0 |"]
    lines = [{"truth": "rods", "method": "mine", "psnr": [9.03]}, {"truth": "rods", "method": "a", "psnr": [9.0]}]
    found = list(zoo.cases({"networks": ["mine"], "figures": {"white noise": lines}}))
    assert zoo.by_truth("mine", found).splitlines()[2:] == ["| rods | 9.0 / 9.0 |"]


def test_a_line_of_a_network_counts_the_cases_that_it_wins():
    def evaluation(kind, ours, best, **truth):
        lines = [{"method": "mine", **ours, **truth}, {"method": "a", **best, **truth}]
        return {"networks": ["mine"], "kind": kind, "figures": {"upsample": lines}}

    figures = {
        "0": evaluation("in model", {"psnr": [30.0]}, {"psnr": [20.0]}),
        "1": evaluation("out of model", {"psnr": [30.0]}, {"psnr": [20.0]}, truth="rods", in_model=True),
        "2": evaluation("out of model", {"psnr": [10.0]}, {"psnr": [20.0]}, truth="rods"),
        "3": evaluation("measured", {"relative_error": [0.1]}, {"relative_error": [0.2]}),
    }
    card = {"metadata": {"data": {"task": {"task": "upsample"}}, "figures": figures}}
    assert zoo.in_short("mine", card) == (
        "- [`mine`](#mine) (upsample): in model in 2 of 2, out of model in 0 of 1, measured in 1 of 1."
    )
    del figures["3"]
    assert zoo.in_short("mine", card).endswith("measured: no figure.")


def test_every_network_is_on_the_page():
    assert set(zoo.PUBLISHED) == set(zoo.models.names())

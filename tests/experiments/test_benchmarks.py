"""The table of all benchmarks, and the tables of the page of costs."""

import json
import sys

import pytest

from benchmarks import all as every
from benchmarks.common import Ratio, Timing, processor, report
from benchmarks.scaling_figure import replaced, tables

FAKE = """
import json, sys
value, status = float(sys.argv[1]), int(sys.argv[2])
ratio = {"name": "ours", "value": value, "least": 2.0, "most": None, "unit": "x"}
machine = {"device": "abacus", "cores": 2}
with open(sys.argv[4], "a") as file:
    print(json.dumps({"title": "Beads", "machine": machine, "timings": [], "ratios": [ratio]}), file=file)
sys.exit(status)
"""


def test_verdicts():
    assert Ratio("a", 2.0, least=2.0).verdict == "met"
    assert Ratio("a", 1.99, least=2.0).verdict == "NOT MET"
    assert Ratio("a", 21.0, most=20, unit=" ms").verdict == "NOT MET"
    assert Ratio("a", 0.0, most=0.0).verdict == "met"
    assert Ratio("a", float("nan"), least=1.0).verdict == "NOT MET"
    assert Ratio("a", 1.0).verdict == "" == Ratio("a", 1.0).wanted
    assert Ratio("a", 1445.2, most=1445, unit=" MB").wanted == "at most 1,445 MB"
    assert (Ratio("a", 1.9991, least=2).measured, Ratio("a", 2508.4, unit=" MB").measured) == ("1.999x", "2,508 MB")


def test_reports_are_appended(tmp_path, capsys):
    path = tmp_path / "new" / "results.jsonl"
    for value in (1.0, 3.0):
        report("Beads", [Timing("ours", 1.0, (0.1,))], [Ratio("against theirs", value, 2)], path)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [Ratio(**r["ratios"][0]).verdict for r in found] == ["NOT MET", "met"]
    assert "NOT MET  against theirs: 1x (at least 2x)" in capsys.readouterr().out


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    (tmp_path / "fake.py").write_text(FAKE)
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(
        every, "RUNS", {"quick": "fake 3 0", "lazy": "fake 1 0", "broken": "fake 3 1", "none": "absent"}
    )


@pytest.mark.parametrize(("names", "status"), [(["quick", "lazy"], 0), (["quick", "broken"], 1), ([], 1)])
def test_one_table(tmp_path, monkeypatch, fakes, names, status):
    out = tmp_path / "table.md"
    monkeypatch.setattr(sys, "argv", ["all", "--out", str(out), *(["--only", *names] if names else [])])
    with pytest.raises(SystemExit) as ended:
        every.main()
    assert ended.value.code == status
    text = out.read_text()
    assert "abacus" in text
    assert "| Beads | ours | 3x | at least 2x | met |" in text
    assert ("NOT MET |" in text) == ("lazy" in names or not names)
    assert ("| broken | fake 3 1 | exit status 1 |  | FAILED |" in text) == ("broken" in names or not names)
    assert ("| none | absent | exit status 1 |  | FAILED |" in text) == (not names)
    kept = json.loads(out.with_suffix(".json").read_text())
    assert (
        every.markdown(every.rows_of(kept["benchmarks"]), every.in_words(kept)) == text
    )  # the page is made of the JSON
    assert kept["machine"] == {"device": "abacus", "cores": 2}


def test_a_benchmark_that_does_not_end(tmp_path, monkeypatch, fakes):
    monkeypatch.setattr(every, "RUNS", {"slow": "slow"})
    monkeypatch.setattr(every, "LIMIT", 0.5)
    found, machine = every.run("slow", tmp_path)
    assert every.rows_of(found) == [("slow", "slow", "stopped after 0.5 s", "", "FAILED")]
    assert machine == {}


def test_the_machine_in_words():
    machine = {"processor": "Abacus 9", "cores": 2, "memory": 8.2, "device": "cpu", "jax": "0.10"}
    result = {"machine": machine, "load": 0.31, "minutes": 20.4}
    words = every.in_words(result | {"benchmarks": [{"title": "Beads", "ratios": []}]})
    assert words == (
        "0 met, 0 NOT MET, 0 FAILED; Abacus 9, 2 cores, 8 GB of memory, device cpu, jax 0.10; 20 minutes, load before 0.3"
    )


def test_the_name_of_the_processor(tmp_path):
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: Abacus(R) 9: the large one\n\nmodel name\t: other\n")
    assert processor(facts) == "Abacus(R) 9: the large one"
    facts.write_text("processor\t: 0\n")
    assert processor(facts) == processor(tmp_path / "nothing") != ""


def test_tables_of_costs():
    text = tables({"voxels": {"a": ([1, 2, 4], [1e-3, 2e-3, 4e-3]), "b": ([1, 2000], [1.0, 2.0])}})
    assert text.splitlines() == [
        "| voxels | 1 | 2 | 4 | exponent |",
        "|---|---|---|---|---|",
        "| a | 1 ms | 2 ms | 4 ms | 1.00 |",
        "",
        "| voxels | 1 | 2,000 | exponent |",
        "|---|---|---|---|",
        "| b | 1 s | 2 s | 0.09 |",
    ]
    page = "x\n<!-- a -->\nold\n<!-- end of a -->\ny\n"
    assert replaced(page, "a", text) == f"x\n<!-- a -->\n{text}<!-- end of a -->\ny\n"

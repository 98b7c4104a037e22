"""What stands in several places agrees: version, license, what is installed, what is cited."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_is_of_this_version():
    project = PROJECT["project"]
    assert (CITATION["version"], CITATION["license"]) == (project["version"], project["license"])
    assert CITATION["authors"] == [{"name": "mpijax developers"}]
    assert f"version = {{{project['version']}}}" in (ROOT / "docs" / "index.md").read_text()


def test_the_five_papers_are_those_of_the_bibliography():
    section = (ROOT / "docs" / "bibliography.md").read_text().split("## The five papers")[1].split("\n## ")[0]
    entries = [line for line in section.splitlines() if line.startswith(": ")]
    assert len(entries) == len(CITATION["references"]) == 5
    for entry, paper in zip(entries, CITATION["references"], strict=True):
        facts = [
            paper["title"],
            *(paper[key] for key in ("volume", "issue", "start", "end", "year", "doi") if key in paper),
        ]
        assert [fact for fact in facts if str(fact) not in entry] == [], entry
        assert all(f"{author['given-names']} {author['family-names']}" in entry for author in paper["authors"])


def test_all_is_every_extra_that_adds_to_the_package():
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(everything.removeprefix("mpijax[").removesuffix("]").split(","))
    assert named == extras.keys() - {"all", "bench", "cuda", "docs", "test"}


def test_the_pythons_that_are_named():
    named = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if ":: Python :: 3." in line]
    assert named[0] == PROJECT["project"]["requires-python"].removeprefix(">=")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    tried = workflow["jobs"]["newest"]["strategy"]["matrix"]["python"]
    assert named[1:] == tried

"""Names in the *Source* of a docstring become links to the bibliography, and every source is an entry of it."""

import importlib
import inspect

import bibliography_links as links
import check_site
import pytest

OWN = "this project"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1", ["ref-boyd-2011"]),
        ("A. Gungor et al., IEEE TMI 41(12):3562 (2022), eq. 26.", ["ref-gungor-2022"]),  # without its umlauts
        ("TranSMS paper, section IV-A", ["ref-gungor-2022"]),
        ("Goodwill & Conolly, IEEE TMI 29(11):1851 (2010), and 30(9):1581 (2011)", ["ref-goodwill-2010", "ref-goodwill-2011"]),
        ("Liu et al., ECCV 2018; Liu et al., ICCV 2021", ["ref-liu-2018", "ref-liu-2021"]),
        ("Liu et al., arXiv:2018.12345, ``TranSMS``", []),  # no year, and a literal
        ("Kaczmarz; somebody else (1937)", []),  # the year is that of another citation
        ("Boydell (2011)", []),
    ],
)  # fmt: skip
def test_names(text, labels):
    assert [where for _, _, where in links.named(text)] == labels


def test_a_source_becomes_one_line_with_links():
    lines = [
        "What it does.",
        "",
        "Source: Boyd et al., Found. Trends Mach. Learn. 3",
        "    (2011) 1, eq. 2.",
        "",
        "Raises:",
    ]
    links.link_source(None, "function", "f", None, None, lines)
    assert lines == [
        "What it does.",
        "",
        "**Source:** Boyd et al., Found. Trends Mach. Learn. 3 (:ref:`2011 <ref-boyd-2011>`) 1, eq. 2.",
        "",
        "Raises:",
    ]


def test_the_page_gets_a_label_before_every_entry():
    content = ["# Bibliography\n\nBjörck 1967, refinement\n: A paper.\n\nBoyd 2011\n: Another.\n"]
    links.add_labels(None, "bibliography", content)
    assert content[0].count("(ref-bjorck-1967)=\nBjörck 1967, refinement\n: A") == 1
    assert content[0].count("(ref-boyd-2011)=\nBoyd 2011\n: Another") == 1


def test_labels_are_distinct():
    labels = [links.label(term) for term in links.terms()]
    assert len(labels) == len(set(labels)) > 60


@pytest.mark.slow
def test_every_source_of_a_public_name_is_in_the_bibliography():
    sources = {}
    for name in check_site.public_names():
        package, _, each = name.rpartition(".")
        found = links.source_of((inspect.getdoc(getattr(importlib.import_module(package), each)) or "").splitlines())
        if found is not None:
            sources[name] = found[2]
    assert len(sources) > 40
    assert [
        (n, text) for n, text in sources.items() if not links.named(text) and OWN not in text and ":func:" not in text
    ] == []

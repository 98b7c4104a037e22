"""The crawl of the site, on one of three pages."""

import subprocess
import sys

import check_site
import pytest

INDEX = """<html><body><h1 id="top">x</h1><a href="sub/page.html#here">x</a><a href="#top">x</a><a href="https://else.where/#a">x</a>
<a href="mailto:a@b">x</a><img src="figure%20one.png?v=1"><a href="sub/">x</a></body></html>"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "figure one.png").write_bytes(b"x")
    (tmp_path / "sub" / "page.html").write_text('<a name="here"></a><a href="../index.html#top">x</a>')
    (tmp_path / "sub" / "index.html").write_text('<section id="ab"></section><a href="page.html">x</a>')
    return tmp_path


def test_a_sound_site_has_no_faults(site):
    assert check_site.dead(site) == []


def test_templates_of_the_theme_are_no_pages(site):
    (site / "_static").mkdir()
    (site / "_static" / "macros.html").write_text('<link href="{{ pathto() }}">')
    assert check_site.dead(site) == []


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ('<a href="gone.html">', "sub/page.html: gone.html does not exist"),
        ('<img src="gone.png">', "sub/page.html: gone.png does not exist"),
        ('<link href="gone.css">', "sub/page.html: gone.css does not exist"),
        ('<a href="../index.html#gone">', "sub/page.html: ../index.html#gone has no such place on its page"),
        ('<a href="#gone">', "sub/page.html: #gone has no such place on its page"),
        ('<script src="https://else.where/a.js">', "sub/page.html: https://else.where/a.js is fetched from elsewhere"),
        ('<a href="../../x.html">', "sub/page.html: ../../x.html leads out of the site"),
    ],
)
def test_every_fault_is_one_line(site, link, fault):
    page = site / "sub" / "page.html"
    page.write_text(page.read_text() + link + link)
    assert check_site.dead(site) == [fault]


def test_public_names_need_a_docstring_and_a_page(site, monkeypatch):
    module = type(sys)("shelf")
    exec("class Book: 'A book.'\ndef lend(): pass\ndef read(): 'Read it.'", module.__dict__)
    monkeypatch.setitem(sys.modules, "shelf", module)
    folder = site / "generated" / "api"
    folder.mkdir(parents=True)
    (folder / "shelf.Book.html").write_text('<dt id="shelf.Book">')
    (folder / "shelf.lend.html").write_text('<dt id="shelf.lend">')
    (folder / "shelf.read.html").write_text("empty")
    assert check_site.undocumented(site, ["shelf.Book", "shelf.lend", "shelf.read"]) == [
        "shelf.lend has no docstring",
        "shelf.read has no page",
    ]


def test_public_names_have_a_source_or_stand_on_the_list(monkeypatch):
    module = type(sys)("shelf")
    exec(
        "class Book: 'A book.'\ndef lend(): 'Lend it.\\n\\nSource: a paper.'\nread = lend; keep = Book", module.__dict__
    )
    monkeypatch.setitem(sys.modules, "shelf", module)
    names = ["shelf.Book", "shelf.keep", "shelf.lend", "shelf.read"]
    assert check_site.unsourced(names, ["shelf.Book", "shelf.keep"]) == []
    assert check_site.unsourced(names, ["shelf.read", "shelf.gone", "shelf.Book"]) == [
        "shelf.gone in names_without_paper.txt is no public name",
        "names_without_paper.txt is not sorted",
        "shelf.keep names no source and does not stand in names_without_paper.txt",
        "shelf.read names a source and stands in names_without_paper.txt",
    ]


@pytest.mark.slow
def test_every_public_name_has_a_source_or_stands_on_the_list():
    assert check_site.unsourced(check_site.public_names(), check_site.WITHOUT_PAPER.read_text().split()) == []


@pytest.mark.slow
def test_public_names_are_those_of_the_reference():
    names = check_site.public_names()
    assert {"mpijax.SystemMatrix", "mpijax.metrics.psnr"} <= set(names) and len(names) == len(set(names))
    assert not [name for name in names if name.endswith(".forward")]  # what old names are forwarded with


def test_the_command_says_what_it_needs(tmp_path):
    done = subprocess.run([sys.executable, check_site.__file__, tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and "give the folder of a built site" in done.stderr

"""Formulas of the site: what browsers draw, and what is refused instead of drawn wrongly."""

import io

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("latex2mathml")
mathml = pytest.importorskip("mathml")


def test_a_formula_is_one_element_of_its_display():
    assert mathml.mathml(r"\frac1x").startswith('<math display="inline"><mrow><mfrac><mn>1</mn><mi>x</mi></mfrac>')
    assert mathml.mathml(r"\sum_{k=1}^n x_k", "block").startswith('<math display="block"><mrow><munderover>')


@pytest.mark.parametrize(
    ("latex", "letter"),
    [
        (r"\mathbf{m}", "𝐦"),
        (r"\mathbf m_k", "𝐦"),
        (r"\boldsymbol\xi", "𝝃"),
        (r"\mathbf 1", "𝟏"),
        (r"\mathbf\Lambda", "𝚲"),
    ],
)
def test_bold_letters_are_letters_of_their_own(latex, letter):
    assert letter in mathml.mathml(latex) and "bold" not in mathml.mathml(latex)


def test_functions_are_set_off_from_their_argument():
    assert '<mo lspace="0.167em" rspace="0.167em">coth</mo><mi>x</mi>' in mathml.mathml(r"\coth x")


def test_bars_stand_close_to_what_they_enclose():
    assert mathml.mathml("|x|").count('lspace="0"') == 2


def test_columns_are_aligned_where_they_are_drawn():
    cells = mathml.mathml(r"\begin{split}a&=b\\c&=d\end{split}")
    assert cells.count("text-align: right") == cells.count("text-align: left") == 2


@pytest.mark.parametrize(
    ("latex", "fault"),
    [
        (r"\frac{a", "braces"),
        ("a}b", "braces"),
        (r"\fraq ab", r"unknown command \\fraq"),
        (r"\frac a", "lacks a part"),
        ("x^2_", "NoAvailableTokens"),
        (r"\left(a", "MissingRight"),
        (r"\begin{pmatrix}a", "MissingEnd"),
        ("a & b", "ParseError"),
    ],
)
def test_a_bad_formula_is_refused(latex, fault):
    with pytest.raises(ValueError, match=fault):
        mathml.mathml(latex)


def test_the_build_warns_of_a_bad_formula(tmp_path):
    (tmp_path / "index.rst").write_text("Page\n====\n\n:math:`x_k` and\n\n.. math:: \\fraq ab\n")
    application = pytest.importorskip("sphinx.application")
    folders = [str(tmp_path / each) for each in ("", "out", "trees")]
    settings = {"extensions": ["mathml"], "html_math_renderer": "mathml"}
    said = io.StringIO()
    application.Sphinx(folders[0], None, *folders[1:], "html", settings, status=None, warning=said).build()
    assert said.getvalue().count("WARNING") == 1 and r"unknown command \fraq" in said.getvalue()
    page = (tmp_path / "out" / "index.html").read_text()
    assert '<math display="inline">' in page and '<div class="formula">' in page and "mathjax" not in page.lower()

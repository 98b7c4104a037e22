"""What stands in a docstring means itself on the page."""

from plain_docstrings import escape


def test_stars_and_bars_mean_themselves():
    assert escape(["min |a*b| of ``|c|``"]) == [r"min \|a\*b\| of ``|c|``"]


def test_a_formula_ends_where_its_indentation_does():
    lines = ["    .. math:: x_{k}^* = ", "", r"        \frac{|a|}{b_*}", "", "    and |a|."]
    assert escape(lines) == [*lines[:-1], r"    and \|a\|."]

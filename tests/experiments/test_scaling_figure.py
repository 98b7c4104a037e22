import pytest

from benchmarks.scaling_figure import exponent, plot_scaling


def test_exponents_of_power_laws():
    sizes = [10, 20, 40, 80]
    for power in (0.5, 1.0, 2.0):
        assert exponent(sizes, [3e-3 * n**power for n in sizes]) == pytest.approx(power)


def test_figure_names_curves_and_exponents():
    figure = plot_scaling({"voxels": {"a": ([1, 2, 4], [1e-3, 2e-3, 4e-3])}, "rows": {"b": ([1, 2], [1e-3, 1e-3])}})
    texts = [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]
    assert texts == ["a: exponent 1.00", "linear", "b: exponent 0.00", "linear"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["voxels", "rows"]
    with pytest.raises(ValueError, match="at least two sizes"):
        plot_scaling({"voxels": {"a": ([1], [1e-3])}})

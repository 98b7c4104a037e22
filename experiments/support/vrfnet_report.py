"""Sections and figures that the experiments on VRF-Net's simulated matrices share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import vrfnet_paper as paper
from experiments.support.run import markdown_table
from experiments.support.upsampling import medians
from mpijax.core.files import write_text
from mpijax.datasets import SuperResolutionPrior, z_slice
from mpijax.datasets.samplers.super_resolution import N_VOXELS
from mpijax.viz import plot_image_table, save

MATRIX_FIGURES = ("nrmse", "nrmse_range", "psnr", "ssim")

TINY: dict[str, dict[str, Any]] = {
    "vrfnet": dict(features=4, blocks=1, embed=8, depth=1, heads=1, head_features=8),
    "srcnn": dict(features=(4, 4)),
}
"""Options of networks for tests."""


def printed_section(
    title: str, printed: Mapping[str, tuple[float, float, float]], records: list[dict[str, Any]], note: str = ""
) -> list[str]:
    """A heading, a note and a table of the paper beside the medians of ``records``."""
    table = paper.beside(printed, medians(records, MATRIX_FIGURES))
    return [title, *([note] if note else []), markdown_table(table)]


def error_table(records: list[dict[str, Any]]) -> str:
    """Medians of the usual figures, one line per method."""
    return markdown_table(
        [
            {
                "method": r["method"],
                "nRMSE [%]": 100 * r["nrmse"],
                "pSNR [dB]": r["psnr"],
                "SSIM": r["ssim"],
                "error / range [%]": 100 * r["nrmse_range"],
            }
            for r in medians(records, MATRIX_FIGURES)
        ]
    )


def coils_figure(scan: int, path: Path) -> None:
    """|p(r)| of each receive loop in the middle slice, relative to its center (Fig. 5)."""
    prior = SuperResolutionPrior(scan=scan)
    setup = z_slice(prior.draw(jax.random.key(0)), N_VOXELS // 2)
    grid = setup.grid()
    images, columns = [], []
    coils = setup.scanner.receive_coils
    assert isinstance(coils, tuple)
    for axis, coil in zip("xyz", coils, strict=True):
        field = np.linalg.norm(np.asarray(coil.field(np.asarray(grid.positions, np.float32))), axis=-1)
        center = np.linalg.norm(np.asarray(coil.field(np.zeros((1, 3), np.float32))))
        images.append(np.asarray(grid.to_image(field / center))[0])
        columns.append(f"loop around {axis}")
    width = float(np.asarray(grid.fov)[0]) * 1e3
    figure = plot_image_table(
        {f"x across, y up,\n{width:g} mm": images},
        columns,
        width=width,
        scale_bar=10.0,
        unit="|p| / |p| at the center",
    )
    save(figure, path)


def write_report(run_dir: Path, sections: Sequence[str]) -> None:
    """report.md from its paragraphs."""
    write_text(run_dir / "report.md", "\n\n".join(sections) + "\n")

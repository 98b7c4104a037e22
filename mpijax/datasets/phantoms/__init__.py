"""Phantoms as ground truth on any voxel grid, with partial volumes: mean concentrations in mmol(Fe)/L, x fastest."""

from mpijax.datasets.phantoms.dots import DOT_CONCENTRATIONS as DOT_CONCENTRATIONS
from mpijax.datasets.phantoms.dots import dots_phantom as dots_phantom
from mpijax.datasets.phantoms.open_mpi import CUBE_CENTERS as CUBE_CENTERS
from mpijax.datasets.phantoms.open_mpi import CUBE_CONCENTRATIONS as CUBE_CONCENTRATIONS
from mpijax.datasets.phantoms.open_mpi import LENGTH as LENGTH
from mpijax.datasets.phantoms.open_mpi import TUBE_SLOPES as TUBE_SLOPES
from mpijax.datasets.phantoms.open_mpi import concentration_phantom as concentration_phantom
from mpijax.datasets.phantoms.open_mpi import resolution_phantom as resolution_phantom
from mpijax.datasets.phantoms.open_mpi import shape_phantom as shape_phantom
from mpijax.datasets.phantoms.planar import PLANAR_KINDS as PLANAR_KINDS
from mpijax.datasets.phantoms.planar import PlanarPhantoms as PlanarPhantoms
from mpijax.datasets.phantoms.strokes import GLYPHS as GLYPHS
from mpijax.datasets.phantoms.strokes import text_phantom as text_phantom
from mpijax.datasets.phantoms.tubes import rectangles_phantom as rectangles_phantom
from mpijax.datasets.phantoms.tubes import snake_phantom as snake_phantom
from mpijax.datasets.phantoms.tubes import spiral_phantom as spiral_phantom
from mpijax.datasets.phantoms.tubes import stenosis_phantom as stenosis_phantom
from mpijax.datasets.phantoms.vessels import vessel_phantom as vessel_phantom

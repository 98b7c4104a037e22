"""Files: MDF system matrices and measurements, the Open MPI data set, measured fields and transfer functions."""

from mpijax.io import mdf_write as mdf_write
from mpijax.io.errors import MDFError as MDFError
from mpijax.io.field_points import FieldPoints as FieldPoints
from mpijax.io.field_points import read_field_points as read_field_points
from mpijax.io.head_scanner import read_head_scanner_lines as read_head_scanner_lines
from mpijax.io.mdf.header import read_info as read_info
from mpijax.io.mdf.info import MDFInfo as MDFInfo
from mpijax.io.mdf.measurement import read_measurement as read_measurement
from mpijax.io.mdf.read import SystemMatrixFile as SystemMatrixFile
from mpijax.io.mdf.read import open_system_matrix as open_system_matrix
from mpijax.io.mdf.read import read_system_matrix as read_system_matrix
from mpijax.io.mdf.reconstruction import Reconstruction as Reconstruction
from mpijax.io.mdf.reconstruction import read_reconstruction as read_reconstruction
from mpijax.io.mdf.reconstruction import write_reconstruction as write_reconstruction
from mpijax.io.mdf.write import write_measurement as write_measurement
from mpijax.io.mdf.write import write_system_matrix as write_system_matrix
from mpijax.io.nifti import write_nifti as write_nifti
from mpijax.io.open_mpi import OpenMPIDataset as OpenMPIDataset
from mpijax.io.snr import add_snr as add_snr
from mpijax.io.snr import system_matrix_snr as system_matrix_snr
from mpijax.io.summary import describe as describe
from mpijax.io.textures import read_textures as read_textures
from mpijax.io.transfer_function import read_transfer_function as read_transfer_function

"""Files: MDF system matrices and measurements, and the Open MPI data set."""

from mpijax.io.describe import describe as describe
from mpijax.io.errors import MDFError as MDFError
from mpijax.io.mdf_header import read_info as read_info
from mpijax.io.mdf_info import MDFInfo as MDFInfo
from mpijax.io.mdf_measurement import read_measurement as read_measurement
from mpijax.io.mdf_read import SystemMatrixFile as SystemMatrixFile
from mpijax.io.mdf_read import open_system_matrix as open_system_matrix
from mpijax.io.mdf_read import read_system_matrix as read_system_matrix
from mpijax.io.mdf_write import write_measurement as write_measurement
from mpijax.io.mdf_write import write_system_matrix as write_system_matrix
from mpijax.io.open_mpi import OpenMPIDataset as OpenMPIDataset
from mpijax.io.snr import add_snr as add_snr
from mpijax.io.snr import system_matrix_snr as system_matrix_snr

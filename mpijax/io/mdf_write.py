"""Old name of :mod:`mpijax.io.mdf.write`."""

from mpijax.io.mdf.write import acquisition_metadata as acquisition_metadata

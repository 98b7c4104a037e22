"""Magnetization dynamics: moments that follow the field late, Neel's rotation inside a core and Brown's of the whole particle."""

"""The solvers of the linear inverse problem, one folder or file each."""

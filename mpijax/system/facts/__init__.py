"""What a matrix and a measurement say of themselves, and how both are compared."""

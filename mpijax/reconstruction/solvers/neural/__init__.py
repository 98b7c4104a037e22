"""A network of the coordinates in place of the image."""

"""The Magnetic Particle Imaging Data Format (MDF): reading, writing, and what its fields mean."""

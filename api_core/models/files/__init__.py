"""A model's files: on this machine, or fetched."""

"""Published tables made again: what a plan needs, its rows as journals, and its figures beside the published ones."""

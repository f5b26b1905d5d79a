"""Cases with known truth, many at once: read, prompted, asked, scored, and the tables of the docs."""

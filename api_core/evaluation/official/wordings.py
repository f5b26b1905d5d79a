"""What data sets have in common of how a question is put."""

SHORT = "Answer the question using a single word or phrase."

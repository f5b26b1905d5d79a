"""Scorers: whether an answer is right, and whether a map lies on what it was asked for."""

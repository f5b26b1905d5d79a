"""Answering from two passes: the plain one, and one whose prompt shows less."""

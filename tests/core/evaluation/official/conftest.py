"""The judge that some sets ask, and its profile."""

from pack.tests.core.evaluation.official.judging import profiles, server

__all__ = ["profiles", "server"]

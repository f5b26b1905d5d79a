"""Attention rows, recorded while the model runs."""

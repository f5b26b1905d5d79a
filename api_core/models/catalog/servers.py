"""The servers that are known by name."""

from collections.abc import Mapping

PRESETS: Mapping[str, tuple[str, str]] = {
    "vllm": ("http://127.0.0.1:8000/v1", ""),
    "sglang": ("http://127.0.0.1:30000/v1", ""),
    "ollama": ("http://127.0.0.1:11434/v1", ""),
    "lm-studio": ("http://127.0.0.1:1234/v1", ""),
    "llama.cpp": ("http://127.0.0.1:8080/v1", ""),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
}
"""Preset -> where such a server answers unless told otherwise, and the variable that usually holds its key.

Those on this machine are always there as profiles. One that is not must be added first, so that a workflow from a
stranger cannot send pictures out and spend on somebody's key.
"""

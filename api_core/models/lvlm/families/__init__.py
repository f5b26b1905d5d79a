"""What differs between families of vision-language models, and nothing else."""

from .adapter import Family
from .registry import FAMILIES, family_of

__all__ = ["FAMILIES", "Family", "family_of"]

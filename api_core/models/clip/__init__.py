"""CLIP and its kin: pictures and texts into one space, with what each patch adds."""

from .encoding import Encoding
from .model import ClipModel, build_clip
from .picture_spec import PictureSpec

__all__ = ["ClipModel", "Encoding", "PictureSpec", "build_clip"]

"""Prompted pictures that were made before, by another run or another program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ...choices import SAVED_AS
from ...errors import InvalidInput
from ...pictures import flatten_alpha, to_picture
from ..cases import QuestionCase
from .saving import file_stem


@dataclass(frozen=True)
class ReadyPictures:
    """The pictures in `folder`, called as `Saving` calls them."""

    folder: Path

    def find(self, case: QuestionCase) -> Path | None:
        """The file of a case, if it is there."""
        named = (self.folder / f"{file_stem(case.id)}.{kind}" for kind in SAVED_AS)
        return next((path for path in named if path.is_file()), None)

    def require_some(self, cases: Sequence[QuestionCase]) -> int:
        """How many cases have none; raises InvalidInput where no case has one: this is another folder."""
        missing = [case for case in cases if self.find(case) is None]
        if cases and len(missing) == len(cases):
            names = " or ".join(f"{file_stem(cases[0].id)}.{kind}" for kind in SAVED_AS)
            raise InvalidInput(f"{self.folder} holds no prompted picture of any case, such as {names}.")
        return len(missing)

    def take(self, cases: Sequence[QuestionCase], outcomes: Sequence[dict[str, Any]]) -> list[Tensor]:
        """The pictures [H, W, 3], a digest of each of which goes into its outcome."""
        pictures = []
        for case, outcome in zip(cases, outcomes, strict=True):
            path = self.find(case)
            if path is None:
                raise InvalidInput(f"{self.folder} holds no {file_stem(case.id)}.png or .jpg.")
            outcome["prompted_from"] = {
                "picture": path.name,
                "digest": hashlib.sha256(path.read_bytes()).hexdigest()[:16],
            }
            pictures.append(flatten_alpha(to_picture(path)))
        return pictures

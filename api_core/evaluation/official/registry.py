"""The published data sets that are known by name."""

from __future__ import annotations

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .amber import AMBER
from .cv_bench import CV_BENCH
from .data_set import DataSet
from .llava_bench import LLAVA_BENCH
from .mm_vet import MM_VET
from .mme import MME
from .mmmu import MMMU
from .mmstar import MMSTAR
from .mmvp import MMVP
from .pope import POPE
from .textvqa import TEXTVQA
from .vizwiz import VIZWIZ

_ALL = (MME, POPE, MMVP, CV_BENCH, MMSTAR, AMBER, TEXTVQA, VIZWIZ, MMMU, MM_VET, LLAVA_BENCH)
DATA_SETS: dict[str, DataSet] = {data_set.name: data_set for data_set in _ALL}


def find_data_set(name: str) -> DataSet:
    if name not in DATA_SETS:
        raise InvalidInput(f"There is no data set {shortened(name)!r}. Choose one of {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def data_set_of(cases: list[QuestionCase]) -> DataSet:
    """The data set that all of some cases are of, by the first part of their ids."""
    names = {case.id.partition("/")[0] for case in cases}
    if len(names) != 1:
        raise InvalidInput(f"The cases are of several data sets ({shortened(', '.join(sorted(names)))}). Take one.")
    return find_data_set(names.pop())

"""The published data sets that are known by name."""

from __future__ import annotations

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import DataSet
from .llava_bench import LLAVA_BENCH
from .mm_vet import MM_VET
from .mme import MME
from .mmmu import MMMU
from .textvqa import TEXTVQA
from .vizwiz import VIZWIZ

DATA_SETS: dict[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        MME,
        TEXTVQA,
        VIZWIZ,
        MMMU,
        MM_VET,
        LLAVA_BENCH,
    )
}


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

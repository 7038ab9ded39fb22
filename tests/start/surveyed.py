"""The survey of a stack in memory, as the tests of what follows from it take it."""

from __future__ import annotations

from napari_tomoalign.start.survey import blocks_in_memory, take_survey


def survey_of(stack):
    return take_survey(blocks_in_memory(stack), stack.shape)

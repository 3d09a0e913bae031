"""Trainings and exports of tests, as short as they can be."""

import sys

import pytest
from shortcuts import undrawn

import kzoo


def fit(preset, data, out, **options):
    with undrawn():
        return kzoo.train(
            preset, data, out=out, **{"callbacks": "quick", "progress": False} | options
        )


def export(program, *arguments, **options):
    """Export, with children that begin with Keras imported: else each export would begin after ten seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", program)
        return kzoo.export(*arguments, **options, progress=False)

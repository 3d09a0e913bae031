"""A model as readable Keras code that needs no kzoo."""

from kzoo.codegen.module import source_of

__all__ = ["source_of"]

"""Export a model as readable Keras code that does not need kzoo."""

from kzoo.zoo.codegen.module import source_of

__all__ = ["source_of"]

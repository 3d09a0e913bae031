"""Folders of images for tests, loaded at a size."""

from types import SimpleNamespace

from kzoo.data.inputs.image.fitting import load_image_folder
from kzoo.data.options import DataOptions, LoadRequest


def load_images(folder, *, image_shape, **options):
    """Load a folder of class folders of images of this (H, W, C), which need not be one that a preset may have."""
    options = DataOptions(**options)
    preset = SimpleNamespace(config={"input_shape": image_shape})
    return load_image_folder(
        LoadRequest(source=folder, form="folder", name="images", options=options, preset=preset)
    )

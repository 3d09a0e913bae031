"""Images, one per file."""

from kzoo.problems.kinds import Kind, Source
from kzoo.problems.preprocessors import ImagePreprocessor

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")

KIND = Kind(
    name="image",
    room=__name__,
    dtype="float32",
    axes=("height", "width", "channels"),
    meaning="raw pixels 0..255, float32; the scaling is inside (rescale=False if you divide by 255)",
    facts=frozenset({"pixels"}),
    makes=lambda reader: {"input_shape": reader["shape"]},
    readers={"image": ImagePreprocessor},
    sources=(
        Source(
            name="a folder of images",
            form="folder",
            suffixes=SUFFIXES,
            order="unordered",
            usual="classification",
            key="image_folder",
        ),
        Source(
            name="a table of images",
            form="labels",
            suffixes=SUFFIXES,
            order="unordered",
            usual="classification",
            key="image_table",
            rest="images with a table of labels",
        ),
    ),
    example="IMAGE.png",
    few=300,
)

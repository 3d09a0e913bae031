"""Empty panels: one for each title, with the colours of kzoo, outside pyplot."""

import sys

from kzoo.plots import panels
from kzoo.plots.colors import LINES


def test_panels_stand_side_by_side_with_the_colours_of_kzoo(tmp_path):
    figure, (left, right) = panels("Loss", "Accuracy $5", width=4, height=3)
    assert list(figure.get_size_inches()) == [8, 3]
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["Loss", "Accuracy $5"]
    drawn = [left.plot([0, 1], [i, i])[0].get_color() for i in range(3)]
    assert drawn == list(LINES[:3])
    figure.savefig(tmp_path / "panels.png")
    assert (tmp_path / "panels.png").stat().st_size > 2000
    boxes = [axes.get_position() for axes in (left, right)]
    assert boxes[0].x1 < boxes[1].x0 and boxes[0].y0 == boxes[1].y0
    assert (
        "matplotlib.pyplot" not in sys.modules
        or sys.modules["matplotlib.pyplot"].get_fignums() == []
    )

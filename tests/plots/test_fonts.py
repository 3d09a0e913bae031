"""Chinese, Japanese and Korean labels: a font that has them is picked, or a line names the package to install.

Each case is a process in which the only other fonts are those made here, with a few characters each.
"""

import json
import subprocess
import sys

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from messages import assert_mentions

SCRIPT = """
import io, json, sys, warnings
from matplotlib import font_manager
fonts, titles = json.loads(sys.argv[1])
manager = font_manager.fontManager
manager.ttflist = [entry for entry in manager.ttflist if entry.name.startswith("DejaVu")]
font_manager.findSystemFonts = lambda *args, **kwargs: fonts
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    from kzoo.plots import panels, prediction_grid
    for _ in range(2):
        figure = prediction_grid([[[0.0]]] * len(titles), titles)
        figure.savefig(io.BytesIO())
    later, (axes,) = panels("plane")
    axes.set_xlabel(titles[0])
    axes.bar([titles[0]], [1])
    later.savefig(io.BytesIO())
print(json.dumps(dict(
    families=[axes.title.get_fontfamily() for axes in figure.axes],
    later=[t.get_fontfamily() for t in (axes.xaxis.label, axes.get_xticklabels()[0], axes.title)],
    glyphs=sum("missing from" in str(w.message) for w in caught),
)))
"""


def draw(titles, fonts=()):
    """Draw images with these titles, twice; return fonts and warnings, and the lines on stderr."""
    arguments = [sys.executable, "-c", SCRIPT, json.dumps([list(map(str, fonts)), titles])]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, encoding="utf-8")
    return json.loads(done.stdout), done.stderr.splitlines()


@pytest.fixture
def font(tmp_path):
    def make(family, characters):
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0)), pen.lineTo((500, 0)), pen.lineTo((250, 700)), pen.closePath()
        glyph = pen.glyph()
        names = [".notdef", *(f"u{ord(c):04x}" for c in characters)]
        builder = FontBuilder(1000, isTTF=True)
        builder.setupGlyphOrder(names)
        builder.setupCharacterMap({ord(c): f"u{ord(c):04x}" for c in characters})
        builder.setupGlyf(dict.fromkeys(names, glyph))
        builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable(dict(familyName=family, styleName="Regular"))
        builder.setupOS2(usWeightClass=500)  # as WenQuanYi Zen Hei has it: there is no regular one
        builder.setupPost()
        file = tmp_path / f"{family}.ttf"
        builder.save(file)
        return file

    return make


def test_a_font_installed_after_matplotlib_listed_them_is_used(font):
    result, lines = draw(["飞机", "plane"], [font("Noto Sans CJK SC", "飞机")])
    latin = result["families"][1]
    assert result["families"][0] == [*latin, "Noto Sans CJK SC"] and "Noto" not in str(latin)
    assert result["later"] == [[*latin, "Noto Sans CJK SC"], [*latin, "Noto Sans CJK SC"], latin]
    assert result["glyphs"] == 0 and lines == []


def test_the_language_decides_which_font_comes_first(font):
    fonts = [font("Noto Sans CJK JP", "漢ね"), font("SimHei", "漢汉"), font("NanumGothic", "漢한")]
    result, lines = draw(["漢", "漢ね", "漢한", "漢汉ね한"], fonts)
    chosen = [families[1:] for families in result["families"]]
    assert chosen == [
        ["SimHei"],
        ["Noto Sans CJK JP"],
        ["NanumGothic"],
        ["Noto Sans CJK JP", "SimHei", "NanumGothic"],
    ]
    assert result["glyphs"] == 0 and lines == []


def test_without_a_font_a_line_names_the_package_to_install():
    result, (line,) = draw(["飞机", "汽车", "plane"])
    assert_mentions(line, "font", "Chinese")
    if sys.platform == "linux":
        assert_mentions(line, "apt-get install fonts-noto-cjk")
    assert result["families"][0] == result["families"][2] and result["glyphs"] == 0


def test_a_font_without_the_character_and_a_broken_file_are_skipped(font, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    result, lines = draw(["飞"], [tmp_path / "broken.ttf", font("SimHei", "机")])
    assert len(lines) == 1 and "SimHei" not in result["families"][0]


def test_latin_labels_need_no_font_and_no_line():
    result, lines = draw(["plane", "naïve µ ½ → “q” –"])
    assert lines == [] and result["glyphs"] == 0

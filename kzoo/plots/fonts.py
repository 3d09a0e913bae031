"""Fonts for Chinese, Japanese and Korean labels, whose characters matplotlib's default font does not have."""

import functools
import logging
import re
import sys
import warnings
from typing import TYPE_CHECKING

from matplotlib import font_manager
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, NullFormatter, ScalarFormatter

from kzoo.utils.formatting import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Font families of Linux, Windows and macOS with these characters, best first.
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "STHeiti",
    "Heiti TC",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Serif CJK SC",
    "SimSun",
    "Songti SC",
    "Microsoft JhengHei",
    "PingFang TC",
)
_JAPANESE = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Source Han Sans JP",
    "Source Han Sans",
    "Yu Gothic",
    "Meiryo",
    "Hiragino Sans",
    "Hiragino Kaku Gothic ProN",
    "MS Gothic",
    "IPAexGothic",
    "TakaoGothic",
    "Noto Serif CJK JP",
)
_KOREAN = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Source Han Sans KR",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "NanumGothic",
    "UnDotum",
    "Noto Serif CJK KR",
)
_ANY = ("Arial Unicode MS", "Droid Sans Fallback", "Unifont")

# matplotlib logs missing weights of fonts; most of these fonts do not have all weights, so such records are dropped.
_WEIGHT_WARNING = re.compile(
    "Failed to find font weight .*(" + "|".join((*_CHINESE, *_JAPANESE, *_KOREAN, *_ANY)) + ")"
)
logging.getLogger("matplotlib.font_manager").addFilter(
    lambda record: not _WEIGHT_WARNING.search(record.getMessage())
)

_KANA = r"\u3040-\u30ff\u31f0-\u31ff"
_HANGUL = r"\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_OTHER_CJK = (
    r"\u2e80-\u303f\u3100-\u312f\u3190-\u31ef\u3200-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
)
_CJK = re.compile(rf"[{_KANA}{_HANGUL}{_OTHER_CJK}\U00020000-\U0003ffff]")

# tick labels of these are numbers or empty
_NUMERIC_FORMATTERS = (LogFormatter, NullFormatter, ScalarFormatter)

_INSTALL_HINTS = {
    "win32": "turn on the language's fonts in Settings > System > Optional features",
    "darwin": "turn on the language's fonts in Font Book",
}
_LINUX_HINT = "apt-get install fonts-noto-cjk (Fedora: dnf install google-noto-sans-cjk-fonts)"


def fit_fonts(figure: "Figure") -> None:
    """Add installed fallback fonts to texts with Chinese, Japanese or Korean characters.

    Control characters, which no font has, are escaped. Other texts are unchanged. If no installed font has a character,
    a hint how to install one is printed once per process.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), _NUMERIC_FORMATTERS):
                continue
            # this generates the labels
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if any(printable(label) != label for label in labels):
                axis.set_ticklabels([printable(label) for label in labels])
    for text in figure.findobj(Text):
        if (printable_text := printable(text.get_text())) != text.get_text():
            text.set_text(printable_text)
        missing = set(_CJK.findall(text.get_text()))
        if not missing:
            continue
        missing -= _characters(font_manager.findfont(text.get_fontproperties()))
        fallback = []
        for family in _candidate_families(text.get_text()):
            file = installed_fonts().get(family)
            if file and missing & _characters(file):
                fallback.append(family)
                missing -= _characters(file)
        families = [*dict.fromkeys([*text.get_fontfamily(), *fallback])]
        if families != text.get_fontfamily():
            text.set_fontfamily(families)
        if missing:
            _print_install_hint()


def _candidate_families(text: str) -> tuple[str, ...]:
    """Return the font families to try for a text: the shape of characters depends on the language."""
    if re.search(f"[{_KANA}]", text):
        return (*_JAPANESE, *_CHINESE, *_KOREAN, *_ANY)
    if re.search(f"[{_HANGUL}]", text):
        return (*_KOREAN, *_CHINESE, *_JAPANESE, *_ANY)
    return (*_CHINESE, *_JAPANESE, *_KOREAN, *_ANY)


@functools.cache
def installed_fonts() -> dict[str, str]:
    """Return font family -> font file for the fonts of this machine."""
    manager = font_manager.fontManager
    known_files = {font.fname for font in manager.ttflist}
    # matplotlib caches its list of fonts: fonts installed later, perhaps after our hint, are missing from it.
    for file in font_manager.findSystemFonts():
        if file not in known_files:
            try:
                manager.addfont(file)
            except (
                Exception
            ):  # broken or exotic font files raise many kinds of errors and are skipped
                continue
    return {font.name: font.fname for font in manager.ttflist}


@functools.lru_cache(maxsize=64)
def _characters(file: str) -> frozenset[str]:
    return frozenset(map(chr, font_manager.get_font(file).get_charmap()))


@functools.cache
def _print_install_hint() -> None:
    install_hint = _INSTALL_HINTS.get(sys.platform, _LINUX_HINT)
    print(
        f"kzoo: no font for Chinese, Japanese or Korean labels is installed. To fix this: {install_hint}",
        file=sys.stderr,
    )
    # matplotlib would warn again for every character.
    warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)

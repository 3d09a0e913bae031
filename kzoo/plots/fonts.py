"""Fonts for Chinese, Japanese and Korean labels, which would come out as boxes in matplotlib's own font."""

import functools
import logging
import re
import sys
import warnings

from matplotlib import font_manager
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, NullFormatter, ScalarFormatter

from kzoo.utils.formatting import printable

# Families that Linux, Windows and macOS have such characters in, the best first.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "Heiti SC", "STHeiti", "Heiti TC", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Noto Serif CJK SC", "SimSun", "Songti SC", "Microsoft JhengHei", "PingFang TC",
)  # fmt: skip
_JAPANESE = (
    "Noto Sans CJK JP", "Noto Sans JP", "Source Han Sans JP", "Source Han Sans", "Yu Gothic", "Meiryo",
    "Hiragino Sans", "Hiragino Kaku Gothic ProN", "MS Gothic", "IPAexGothic", "TakaoGothic", "Noto Serif CJK JP",
)  # fmt: skip
_KOREAN = (
    "Noto Sans CJK KR", "Noto Sans KR", "Source Han Sans KR", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic",
    "NanumGothic", "UnDotum", "Noto Serif CJK KR",
)  # fmt: skip
_ANY = ("Arial Unicode MS", "Droid Sans Fallback", "Unifont")

# Few of these fonts come in all weights, which matplotlib reports for each on stderr.
_OURS = re.compile("Failed to find font weight .*(" + "|".join((*_CHINESE, *_JAPANESE, *_KOREAN, *_ANY)) + ")")
logging.getLogger("matplotlib.font_manager").addFilter(lambda record: not _OURS.search(record.getMessage()))

_KANA = r"\u3040-\u30ff\u31f0-\u31ff"
_HANGUL = r"\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
_OTHERS = r"\u2e80-\u303f\u3100-\u312f\u3190-\u31ef\u3200-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
_CJK = re.compile(rf"[{_KANA}{_HANGUL}{_OTHERS}\U00020000-\U0003ffff]")

_NUMBERS = (LogFormatter, NullFormatter, ScalarFormatter)  # what labels ticks with them, or not at all

_WHERE = {
    "win32": "turn on the language's fonts in Settings > System > Optional features",
    "darwin": "turn on the language's fonts in Font Book",
}
_LINUX = "apt-get install fonts-noto-cjk (Fedora: dnf install google-noto-sans-cjk-fonts)"


def fit_fonts(figure):
    """Give texts with Chinese, Japanese or Korean characters an installed font that has them, as a fallback.

    Control characters, of which no font has any, are written as what they are. All other texts stay as they are.
    Where no font has a character, one line per process says how to get one.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), _NUMBERS):
                continue
            labels = [label.get_text() for label in axis.get_ticklabels()]  # has them written
            if any(printable(label) != label for label in labels):
                axis.set_ticklabels([printable(label) for label in labels])
    for text in figure.findobj(Text):
        if (shown := printable(text.get_text())) != text.get_text():
            text.set_text(shown)
        missing = set(_CJK.findall(text.get_text()))
        if not missing:
            continue
        missing -= _characters(font_manager.findfont(text.get_fontproperties()))
        fallback = []
        for family in _candidates(text.get_text()):
            file = installed_fonts().get(family)
            if file and missing & _characters(file):
                fallback.append(family)
                missing -= _characters(file)
        families = [*dict.fromkeys([*text.get_fontfamily(), *fallback])]
        if families != text.get_fontfamily():
            text.set_fontfamily(families)
        if missing:
            _say_what_to_install()


def _candidates(text):
    """Return families to try: what a character looks like depends on the language."""
    if re.search(f"[{_KANA}]", text):
        return (*_JAPANESE, *_CHINESE, *_KOREAN, *_ANY)
    if re.search(f"[{_HANGUL}]", text):
        return (*_KOREAN, *_CHINESE, *_JAPANESE, *_ANY)
    return (*_CHINESE, *_JAPANESE, *_KOREAN, *_ANY)


@functools.cache
def installed_fonts() -> dict:
    """Return a file for each font family on this machine."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    # matplotlib looks once and keeps a list: what was installed later, perhaps on our advice, is not on it.
    for file in font_manager.findSystemFonts():
        if file not in known:
            try:
                manager.addfont(file)
            except Exception:  # of the many kinds that a broken or exotic file causes, none matters
                continue
    return {entry.name: entry.fname for entry in manager.ttflist}


@functools.lru_cache(maxsize=64)
def _characters(file):
    return frozenset(map(chr, font_manager.get_font(file).get_charmap()))


@functools.cache
def _say_what_to_install():
    where = _WHERE.get(sys.platform, _LINUX)
    print(f"kzoo: no font for Chinese, Japanese or Korean labels, they come out as boxes: {where}", file=sys.stderr)
    # It is said; matplotlib would say it again for every character.
    warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)

"""Chinese where `KZOO_LANG=zh` says so: it is complete, it names the same commands, and nothing else turns it on."""

import argparse
import ast
import re
import string
from pathlib import Path

import numpy as np
import pytest

import kzoo
from kzoo.callbacks.saving import NO_BETTER
from kzoo.cli import COMMANDS, main, make_parser
from kzoo.cli.translated import columns, prose, wrapped
from kzoo.utils.chinese import help as chinese_help
from kzoo.utils.chinese import teaching as chinese_teaching

CALLBACKS = Path(kzoo.__file__).parent / "callbacks"


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("KZOO_LANG", raising=False)


def sentences_of(parser):
    """Yield everything that the help of a parser, and of those below it, says."""
    yield "usage: "
    asked = []
    for text in (parser.description, parser.epilog):
        prose(text, lambda english: asked.append(english) or english)
    yield from asked
    yield from (group.title for group in parser._action_groups if group._group_actions)
    for action in parser._actions:
        yield from (one.help for one in (action, *getattr(action, "_choices_actions", ())) if one.help)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from sentences_of(below)


def strings_of(file):
    """Return the strings of a file that are sentences, or parts of them, and no docstrings."""
    tree = ast.parse((CALLBACKS / file).read_text(encoding="utf-8"))
    bare = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in found - bare if " " in text.strip() or "{" in text}


def fields(sentence):
    return {name: how for _, name, how, _ in string.Formatter().parse(sentence) if name}


def test_every_sentence_of_the_help_has_its_chinese_and_no_other():
    said = {*sentences_of(make_parser(COMMANDS))}
    assert len(said) > 150
    assert sorted(said - {*chinese_help.WORDS}) == []
    assert sorted({*chinese_help.WORDS} - said) == []


def test_every_sentence_of_teaching_has_its_chinese_with_the_same_values():
    said = strings_of("teaching.py") | strings_of("nan.py") | {NO_BETTER, "larger", "smaller"}
    assert len(said) > 20
    assert sorted(said ^ {*chinese_teaching.WORDS}) == []
    for english, chinese in chinese_teaching.WORDS.items():
        there, here = fields(english), fields(chinese)
        if "epochs" in there:  # "2 epochs": Chinese has the number alone
            there["count"] = there.pop("epochs")
        assert there == here, english


def test_chinese_sentences_are_chinese():
    for words in (chinese_help.WORDS, chinese_teaching.WORDS):
        for english, chinese in words.items():
            if any(map(str.isalpha, re.sub("{.*?}", "", english))):
                assert any("\u4e00" <= c <= "\u9fff" for c in chinese) or "、" in chinese, english


def helps(capsys):
    for command in (None, *COMMANDS):
        assert main([*filter(None, [command]), "--help"]) == 0
        yield capsys.readouterr().out


def test_chinese_help_has_the_same_commands_and_fits_eighty_columns(capsys, monkeypatch):
    english = list(helps(capsys))
    monkeypatch.setenv("KZOO_LANG", "zh")
    for before, after in zip(english, helps(capsys), strict=True):
        assert after.startswith("用法：kzoo") and "示例：" in after and "显示本帮助并退出" in after
        assert max(map(columns, after.splitlines())) <= max(80, *map(columns, before.splitlines()))
        typed = [re.findall(r"^  kzoo .*?(?=  |$)", text, re.M) for text in (before, after)]
        assert typed[0] == typed[1] != []


@pytest.mark.parametrize("how", [None, "", "en"])
def test_nothing_but_its_own_variable_changes_the_language(capsys, monkeypatch, how):
    for variable in ("LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.setenv(variable, "C")
    plain = list(helps(capsys))
    for variable in ("LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.setenv(variable, "zh_CN.UTF-8")
    if how is not None:
        monkeypatch.setenv("KZOO_LANG", how)
    assert list(helps(capsys)) == plain
    assert all(text.isascii() and text.startswith("usage: kzoo") for text in plain)


def test_documents_are_the_same_in_both_languages(capsys, monkeypatch):
    said = []
    for word in ("en", "zh"):
        monkeypatch.setenv("KZOO_LANG", word)
        assert (main(["show", "iris_fnn"]), main(["show", "iris_fnnn"])) == (0, 2)
        said.append(capsys.readouterr())
    assert said[0] == said[1]


def test_another_language_is_refused_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("KZOO_LANG", "zh_CN")
    assert main(["list"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "kzoo: error: KZOO_LANG='zh_CN' is not a language of kzoo's: en or zh.\n")
    with pytest.raises(kzoo.KzooError, match="en or zh"):  # before the first epoch
        kzoo.callbacks.teaching()


@pytest.mark.parametrize("width", [8, 20, 33])
@pytest.mark.parametrize(
    "text",
    [
        "auto（默认）：从同一次训练中断处继续；must（必须继续）、never（从头开始）",
        "`kzoo show PRESET` 列出 --set 能改的设置。",
        "plain words",
    ],
)
def test_chinese_wraps_by_columns_and_loses_nothing(text, width):
    lines = wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns(line) <= width for line in lines if " " in line or len(line) > 8)
    assert not any(line[0] in "，。；：）、" or line[-1] in "（" for line in lines)


@pytest.mark.usefixtures("untraced")
def test_teaching_speaks_chinese(capsys, monkeypatch):
    monkeypatch.setenv("KZOO_LANG", "zh")
    taught(val_loss=[0.7, 0.9, 0.95])
    assert capsys.readouterr().err.splitlines() == [
        "监控 val_loss：越小越好，在网络不参与学习的数据上测量。",
        "第 1 个 epoch：val_loss 为 0.7，目前最佳。保留这组权重。",
        "第 2 个 epoch：val_loss 为 0.9，没有优于第 1 个 epoch 的 0.7。早停还会再等 1 个 epoch。",
        "  损失在训练集上为 0.5，在验证集上为 0.9：网络开始死记样本，也就是过拟合。"
        "更多数据、数据增强、Dropout 或更小的网络会有帮助。",
        "第 3 个 epoch：val_loss 为 0.95，没有优于第 1 个 epoch 的 0.7。早停的耐心已用完。",
        "训练结束：val_loss 已连续 2 个 epoch 没有改善。",
        "模型已恢复到最佳权重，即第 1 个 epoch 的权重。",
    ]
    taught(loss=[float("nan")], val_loss=[0.7])
    said = capsys.readouterr().err
    assert "训练结束：损失在第 1 个 epoch 变成了 nan；请试试更小的 learning_rate" in said


def taught(loss=(0.5, 0.5, 0.5), **columns):
    """Fit a small network whose epochs report these values."""
    import keras

    class Say(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs.update({name: values[epoch] for name, values in {"loss": loss, **columns}.items()})

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 2))
    callbacks = [Say(), *kzoo.callbacks.teaching(patience=2)]
    model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), epochs=3, verbose=0, callbacks=callbacks)

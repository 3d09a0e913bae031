"""Help and teaching in Chinese with `KZOO_LANG=zh`: the same commands and values, and no other variable turns it on."""

import gettext
import re
import string

import numpy as np
import pytest
from babel.messages import mofile, pofile
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import COMMANDS, main
from kzoo.cli.translation import columns, wrapped
from kzoo.utils.i18n import LOCALE, translator

MESSAGES = LOCALE / "zh" / "LC_MESSAGES"


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("KZOO_LANG", raising=False)


def fields(message):
    return {name: how for _, name, how, _ in string.Formatter().parse(message) if name}


@pytest.fixture(scope="module", params=["help", "teaching", "limits"])
def catalogue(request):
    """One of the catalogues as text: English and Chinese, with marks."""
    with (MESSAGES / f"{request.param}.po").open("rb") as file:
        return request.param, pofile.read_po(file)


def test_catalogues_are_compiled_as_they_are_written(catalogue, tmp_path):
    domain, messages = catalogue
    with (tmp_path / "fresh.mo").open("wb") as file:
        mofile.write_mo(file, messages)
    with (
        (tmp_path / "fresh.mo").open("rb") as fresh,
        (MESSAGES / f"{domain}.mo").open("rb") as compiled,
    ):
        expected = gettext.GNUTranslations(fresh)
        present = gettext.GNUTranslations(compiled)
    for message in messages:
        if message.id:  # the header names the version of Babel
            assert present.gettext(message.id) == expected.gettext(message.id)


def test_most_messages_are_translated(catalogue):
    """The others are shown in English until someone translates them: no test fails for a new English sentence."""
    _, messages = catalogue
    translated = [
        message for message in messages if message.id and message.string and not message.fuzzy
    ]
    assert len(translated) > 0.8 * len(messages)


def test_translations_are_chinese_and_fill_in_the_same_values(catalogue):
    _, messages = catalogue
    for message in messages:
        if not message.id or not message.string:
            continue
        english, chinese = fields(message.id), fields(message.string)
        if "epochs" in english:  # "2 epochs": Chinese has the number alone
            english["count"] = english.pop("epochs")
        assert english == chinese, message.id
        if any(map(str.isalpha, re.sub("{.*?}", "", message.id))):
            assert (
                any("\u4e00" <= c <= "\u9fff" for c in message.string) or "、" in message.string
            ), message.id


def test_an_untranslated_sentence_is_shown_in_english(capsys, monkeypatch):
    monkeypatch.setenv("KZOO_LANG", "zh")
    monkeypatch.setitem(COMMANDS, "list", "a sentence without translation")
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "a sentence without translation" in out and out.startswith("用法：kzoo")


def test_a_field_without_help_stays_without(monkeypatch):
    monkeypatch.setenv("KZOO_LANG", "zh")
    assert translator("help")("") == ""


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
    outputs = []
    for language in ("en", "zh"):
        monkeypatch.setenv("KZOO_LANG", language)
        assert (main(["show", "iris_fnn"]), main(["show", "iris_fnnn"])) == (0, 2)
        outputs.append(capsys.readouterr())
    assert outputs[0] == outputs[1]


def test_another_language_is_refused_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("KZOO_LANG", "zh_CN")
    assert main(["list"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("kzoo: error: ") and err.count("\n") == 1
    assert_mentions(err, "KZOO_LANG='zh_CN'", "en, zh")
    with refuses("KZOO_LANG='zh_CN'", "en, zh"):  # before the first epoch
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
    err = capsys.readouterr().err
    assert "训练结束：损失在第 1 个 epoch 变成了 nan；请试试更小的 learning_rate" in err


def taught(loss=(0.5, 0.5, 0.5), **columns):
    """Fit a small network whose epochs report these values."""
    import keras

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs.update({name: values[epoch] for name, values in {"loss": loss, **columns}.items()})

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 2))
    callbacks = [Report(), *kzoo.callbacks.teaching(patience=2)]
    model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), epochs=3, verbose=0, callbacks=callbacks)

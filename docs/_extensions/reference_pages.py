"""The reference that is made of the package: command line, settings, options of data, checks."""

import argparse
import pkgutil
import re
import textwrap
from dataclasses import fields
from importlib import import_module

from kzoo.cli import COMMANDS, make_parser
from kzoo.problems.data_arguments import FLAGS, DataArguments, flag_names
from kzoo.zoo.registry.arguments import ANY, ARGUMENTS, TRAINING
from kzoo.zoo.registry.family import FAMILIES, builder_of

KINDS = {
    "settings": ("Settings", "They read no data."),
    "data": ("Data", "They read the splits, before a network exists."),
    "network": ("Network", "They run the network forward on a few rows."),
    "steps": (
        "Training steps",
        "They compute gradients; `kzoo check` runs them, `kzoo train` does not.",
    ),
    "new": (
        "New data",
        "`kzoo check RUN --data FILE` compares new data with the data that the run was trained on.",
    ),
}


_SOURCES = {
    "rows": "tables",
    "series": "tables of series",
    "labelled_series": "tables of labelled series",
    "text_table": "tables with texts",
    "image_table": "tables that label images",
    "series_folder": "folders of series",
    "text_folder": "folders of texts",
    "image_folder": "folders of images",
    "named": "named data sets",
    "arrays": "arrays",
}


def pages() -> dict[str, str]:
    """Return the path of each page -> its text."""
    return {
        **_command_pages(),
        "reference/settings.md": _settings_page(),
        "reference/data_options.md": _data_page(),
        "reference/checks.md": _checks_page(),
    }


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _table(heads, rows):
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


# === Command line ===


def _command_pages():
    parser = make_parser(COMMANDS)
    commands = parser._subparsers._group_actions[0].choices
    rows = [(f"[`kzoo {name}`]({name}.md)", _cell(summary)) for name, summary in COMMANDS.items()]
    index = [
        "# Command line",
        "",
        "`kzoo COMMAND --help` prints the same options. `--json` prints one JSON document instead of text.",
        "",
        *_table(("command", "what it does"), rows),
        "## Options of kzoo itself",
        "",
        *_options("kzoo", parser),
        "## Exit codes",
        "",
        *_table(
            ("code", "meaning"),
            [
                ("0", "success"),
                (
                    "1",
                    "an internal error of kzoo, or a command that checks or compares has found something",
                ),
                ("2", "invalid input: one line on stderr says what is wrong"),
                ("130, 143", "interrupted by Ctrl-C, or by SIGTERM"),
            ],
        ),
        "```{toctree}",
        ":hidden:",
        "",
        *COMMANDS,
        "```",
        "",
    ]
    result = {"reference/command_line/index.md": "\n".join(index)}
    for name, command in commands.items():
        result[f"reference/command_line/{name}.md"] = "\n".join(_command_page(name, command))
    return result


def _command_page(name, command):
    usage = " ".join(command.format_usage().removeprefix("usage:").split())
    epilog = (command.epilog or "").partition("examples:\n")[2]
    examples, _, notes = epilog.partition("\n\n")
    return [
        f"# kzoo {name}",
        "",
        _sentences(command.description or ""),
        "",
        "```text",
        *textwrap.wrap(usage, 80, subsequent_indent="    ", break_on_hyphens=False),
        "```",
        "",
        *(["## Examples", "", "```text", textwrap.dedent(examples), "```", ""] if examples else []),
        *([_sentences(notes), ""] if notes else []),
        *_options(f"kzoo {name}", command),
    ]


def _sentences(text):
    """Return the description of a command as Markdown."""
    return re.sub(r"<(?=\w)", "&lt;", textwrap.dedent(text).strip())


def _options(program, parser):
    lines = ["```{program} " + program, "```", ""]
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if action.help is not argparse.SUPPRESS
            and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        ]
        if not actions:
            continue
        title = {"positional arguments": "Arguments", "options": "Options"}.get(group.title)
        if program != "kzoo":
            lines += [f"## {title or group.title.capitalize()}", ""]
        formatter = parser._get_formatter()
        for action in actions:
            value = "" if action.nargs == 0 else formatter._format_args(action, action.dest.upper())
            names = action.option_strings or [value]
            if action.option_strings and value:
                names = [f"{option} {value}" for option in names]
            lines += ["```{option} " + ", ".join(names), _help(action), "```", ""]
    return lines


def _help(action):
    text = (action.help or "") % dict(vars(action), prog="kzoo")
    choices = [] if action.choices is None else [str(choice) for choice in action.choices]
    if choices and not all(re.search(rf"\b{re.escape(choice)}\b", text) for choice in choices):
        text += f" (one of {', '.join(choices)})"
    text = _cell(text).replace("\\|", "|").replace("*", "\\*")
    return text[:1].upper() + text[1:] + "."


# === Settings ===


def _settings_page():
    lines = [
        "# Settings of networks and training",
        "",
        "Settings are changed with `--set NAME=VALUE` on the command line and by keyword in Python: "
        "`kzoo train tabular_fnn --set dropout=0.2 epochs=30`, `kzoo.train(..., dropout=0.2, epochs=30)`. "
        "`kzoo show NAME` prints those of a preset, which differ from the defaults below where the preset says so.",
        "",
        "## Training",
        "",
        *_table(
            ("setting", "default", "meaning", "values"),
            [
                (
                    f"`{name}`",
                    _value(setting.default),
                    _meaning(setting.meaning, setting.needs),
                    _cell(setting.legal()),
                )
                for name, setting in TRAINING.items()
            ],
        ),
        "## Networks",
        "",
        "The family of a preset has these settings. Those without a default are set by each preset.",
        "",
    ]
    for family in FAMILIES:
        builder = builder_of(family)
        rows = []
        for name in builder.takes:
            argument = ARGUMENTS.get(name)
            default = _value(builder.defaults[name]) if name in builder.defaults else ""
            needs = dict(getattr(argument, "needs", {})) | dict(builder.needs.get(name, {}))
            rows.append(
                (
                    f"`{name}`",
                    default,
                    _meaning(builder.meanings.get(name, ""), needs),
                    _cell(argument.legal()) if argument else "",
                )
            )
        lines += [f"### {family}", "", *_table(("setting", "default", "meaning", "values"), rows)]
    return "\n".join(lines)


def _value(value):
    return "none" if value is None else f"`{value}`".replace("|", "\\|")


def _meaning(meaning, needs):
    conditions = [
        f"`{name}` set" if values == ANY else f"`{name}` {' or '.join(map(str, values))}"
        for name, values in needs.items()
        if name != "answers"
    ]
    answers = needs.get("answers")
    conditions += [f"a target of {' or '.join(answers)}"] if answers else []
    return _cell(meaning) + (f" (only with {', '.join(conditions)})" if conditions else "")


# === Options of data ===


def _data_page():
    lines = [
        "# Options of data",
        "",
        "They say how a source is read and split. `kzoo.load_data`, `kzoo.train`, `kzoo.tune`, `kzoo.check` and "
        "`kzoo.cross_validate` take them by keyword; the commands take the options beside them.",
        "",
    ]
    for field in fields(DataArguments):
        option = field.metadata["option"]
        name = option.name or field.name
        flags = (
            ", ".join(f"`{flag}`" for flag in flag_names(field.name))
            if field.name in FLAGS
            else "none"
        )
        lines += [
            f"## {name}",
            "",
            _sentences(option.meaning[:1].upper() + option.meaning[1:]),
            "",
            f"* Command line: {flags}",
            f"* Default: {_value(field.default)}",
            f"* Sources: {_sources(option.sources)}",
            "",
        ]
    return "\n".join(lines)


def _sources(keys):
    if keys is None:
        return "all"
    return ", ".join(_SOURCES[key] for key in keys)


# === Checks ===


def _checks_page():
    from kzoo import checks

    for module in pkgutil.iter_modules(checks.__path__):
        import_module(f"kzoo.checks.{module.name}")
    lines = [
        "# Checks",
        "",
        "`kzoo check` runs all of them; `kzoo train` runs those that need no training step, and stops on an error. "
        "Each finding says what is wrong, where, why it matters and what to do. A check that lacks what it needs, "
        "such as a time column, is skipped.",
        "",
    ]
    for kind, (title, sentence) in KINDS.items():
        rows = [
            (f"`{check.name}`", _cell((check.function.__doc__ or "").partition("\n\n")[0]))
            for check in checks.CHECKS.values()
            if check.kind == kind
        ]
        lines += [f"## {title}", "", sentence, "", *_table(("check", "what it finds"), rows)]
    return "\n".join(lines)

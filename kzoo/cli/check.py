"""Check data, settings and network before training; or new data; or an export."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cli import data_summary, export, keras_import, shared, tables, train
from kzoo.data import source_detection as detection
from kzoo.inference import signature
from kzoo.inference.exported import ExportedModel
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import cut, percent, plural, spelled
from kzoo.zoo.registry import AUTO, get_preset
from kzoo.zoo.results import metric_label, number, value_of
from kzoo.zoo.results.suggest import Suggestion, order_line
from kzoo.zoo.untracked import run_or_none
from kzoo.zoo.weights import DOWNLOADED

if TYPE_CHECKING:
    from kzoo.evaluation.wrong_labels import WrongLabels


_MAX_PRESETS = 8  # listed at most
_MAX_SUSPECTS, _INPUT = 10, 60  # suspects that are shown, and characters of each row

EXAMPLES = """\
examples:
  kzoo check iris_fnn                              with its own data set
  kzoo check tabular_fnn --data churn.csv --target churned
  kzoo check --data churn.csv --target churned     baselines, and presets to try
  kzoo check image_cnn --data photos/ --quick      without gradient steps
  kzoo check runs/tabular_fnn-01 --data may.csv    compare with training data
  kzoo check runs/tabular_fnn-01 --data may.csv && ./score
  kzoo check runs/tabular_fnn-01 --retrain --data churn.csv
  kzoo check exports/digits_cnn-01                 each file in its own runtime
  kzoo check exports/digits_cnn-01 --allowed-signers signers.txt
  kzoo check digits_cnn --wrong-labels             labels that look wrong
  kzoo check digits_cnn --learning-curve           what more rows would bring
exit code:
  0  no errors (there may be warnings)   1  errors   2  invalid input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "preset",
        metavar="PRESET|RUN|EXPORTED",
        nargs="?",
        help="a name from `kzoo list`, the folder of a run or of an exported model, hub:PLACE/NAME, or an address such "
        "as s3://bucket/runs/1; if omitted, only --data is checked",
    )
    add(
        "--data",
        metavar="SOURCE",
        help="data, as for `kzoo train`; for a run: new data, with or without the target column",
    )
    add(
        "--quick",
        action="store_true",
        help="run only the checks that `kzoo train` runs, without gradient steps and slow baselines",
    )
    add(
        "--wrong-labels",
        action="store_true",
        help="instead: list labels that networks trained on the other rows contradict, in suspects.csv",
    )
    add(
        "--learning-curve",
        action="store_true",
        help="instead: train on six numbers of rows, and forecast what more rows would bring",
    )
    add(
        "--folds",
        type=int,
        default=5,
        metavar="K",
        help="number of folds of --wrong-labels (default 5)",
    )
    add(
        "--out",
        metavar="FOLDER",
        help="folder of these two; default: runs/wrong-labels-PRESET or the like",
    )
    add(
        "--parallel",
        type=int,
        default=1,
        metavar="N",
        help="number of their trainings at once (default 1)",
    )
    add(
        "--retrain",
        action="store_true",
        help="of a run, instead: repeat its training by its recorded command, and compare the weights bit by bit; "
        "--data if its data is elsewhere, --out to keep the new run",
    )
    add("--quiet", action="store_true", help="do not show their progress")
    add(
        "--allowed-signers",
        metavar="FILE",
        help="of an exported model: only accept signatures of these keys, a line NAME KEYTYPE KEY for each, as for git",
    )
    train.add_training_options(parser)


def run(args: argparse.Namespace) -> JsonObject:
    if args.preset is not None and (Path(args.preset) / "kzoo.json").is_file():
        return _check_exported(args)
    if args.retrain:
        return _retrain(args)
    if args.allowed_signers is not None:
        raise KzooError("--allowed-signers is for exported models, which are signed. Remove it.")
    settings = train.settings_of(args)
    if args.resolved is not None:
        train.check_settings(args, settings)
    elif (
        args.preset is not None
        and not detection.is_data(args.preset)
        and run_or_none(args.preset) is None
    ):
        get_preset(args.preset)
    if args.wrong_labels or args.learning_curve:
        return _search(args, settings)
    # Keras is imported here, after all checks that work without it.
    check_module = keras_import.import_quietly("kzoo.evaluation.check")
    check_module.refuse_search_options(folds=args.folds, out=args.out, parallel=args.parallel)
    findings, check_names = check_module.examine(
        args.preset,
        args.data,
        shared.requested_data_options(args),
        settings,
        deep=not args.quick,
        seed=args.seed,
        weights=args.weights,
        freeze=train.freeze_argument(args.freeze),
        precision=args.precision,
    )
    document = dict(
        subject=args.preset,
        data=args.data,
        overview=findings.overview,
        checks=check_names,
        findings=[asdict(finding) for finding in findings],
        exit_code=int(any(finding.level == "error" for finding in findings)),
    )
    if findings.presets is None:
        return document
    baselines = findings.baselines
    listed = [Suggestion(**preset) for preset in findings.presets]
    return document | dict(
        baselines=None
        if baselines is None
        else [asdict(baseline) | dict(value=baseline.value) for baseline in baselines],
        suggested_baseline=None
        if findings.suggested_baseline is None
        else asdict(findings.suggested_baseline),
        presets=findings.presets,
        command=_train_command(args, listed),
        missing=import_module("kzoo.training.suggestions").missing_encoder(listed),
    )


def _search(args: argparse.Namespace, settings: JsonObject) -> JsonObject:
    """Search for wrong labels, or measure the learning curve."""
    if args.quick:
        raise KzooError("--quick has no effect with --wrong-labels or --learning-curve. Remove it.")
    check_module = keras_import.import_quietly("kzoo.evaluation.check")
    findings = check_module.search(
        args.preset,
        args.data,
        shared.requested_data_options(args),
        settings,
        wrong_labels=args.wrong_labels,
        learning_curve=args.learning_curve,
        folds=args.folds,
        seed=args.seed,
        weights=args.weights,
        freeze=train.freeze_argument(args.freeze),
        precision=args.precision,
        out=args.out,
        parallel=args.parallel,
        progress=not args.quiet,
    )
    document = dict(subject=args.preset, data=args.data, exit_code=0)
    if findings.learning_curve is not None:
        curve = findings.learning_curve
        return document | dict(learning_curve=curve.json(), text=repr(curve))
    return document | dict(
        findings=[asdict(finding) for finding in findings],
        wrong_labels=findings.suspects.json(),
        command=_repair_command(args, findings.suspects),
    )


def _repair_command(args: argparse.Namespace, result: "WrongLabels") -> str | None:
    """Return the command that trains with the accepted suspects; None if there are none, or for a run."""
    if not result.suspects or args.resolved is None:
        return None
    command = shared.train_command(args, args.resolved.preset, args.data, seed=args.seed)
    return f"{command} --repairs {shared.quote(str(result.path))}"


def _wrong_labels_lines(document: JsonObject) -> list[str]:
    """Return the lines that show the first suspects, and where all of them are."""
    result = document["wrong_labels"]
    suspects, count = result["suspects"], result["rows"]
    share = percent(len(suspects) / max(count, 1))
    lines = [
        f"{plural(len(suspects), 'label')} of {count:,} rows {'looks' if len(suspects) == 1 else 'look'} wrong "
        f"({share}); {percent(result['noise'])} are estimated to be wrong"
    ]
    if suspects:
        rows = [("row", "label", "suggestion", "rank", "")]
        rows += [
            (str(s["row"]), s["label"], s["suggestion"], str(s["rank"]), cut(s["input"], _INPUT))
            for s in suspects[:_MAX_SUSPECTS]
        ]
        lines += ["", *tables.columns(rows, align=">")]
    lines += ["", *tables.columns([("table", result["path"]), ("page", result["page"])])]
    if document["command"]:
        lines += [
            "",
            "Write yes into the column accept where the suggestion is right. Then:",
            "",
            f"  {document['command']}",
        ]
    return lines


def _train_command(args: argparse.Namespace, listed: Sequence[Suggestion]) -> str | None:
    """Return the command that trains the first of the presets on this data; None if there are no presets.

    If a baseline was better than that preset, it is the command that compares them.
    """
    if not listed:
        return None
    data = args.preset if args.data is None else args.data
    module = import_module("kzoo.training.suggestions")
    first = next((each for each in listed if module.is_usable(each, weights=True)), listed[0])
    weights = DOWNLOADED if not module.is_usable(first) else None
    preset = get_preset(first.preset)
    command = shared.train_command(
        args, preset, data, seed=args.seed, weights=weights, words=args.set
    )
    return command.replace(f"train {preset.name}", f"tune {AUTO}", 1) if first.beaten else command


def _retrain(args: argparse.Namespace) -> JsonObject:
    """Repeat the training of a run."""
    if args.preset is None:
        raise KzooError("--retrain needs a run, the folder that `kzoo train` wrote.")
    if run_or_none(args.preset) is None:
        raise KzooError(f"{args.preset!r} is not a run: --retrain repeats the training of one.")
    accepted = ("retrain", "data", "out", "quiet")
    _refuse_options(
        args, accepted, "has no effect with --retrain: the recorded command is repeated"
    )
    check_module = keras_import.import_quietly("kzoo.evaluation.check")
    findings = check_module.repeat(
        args.preset, args.data, {}, out=args.out, progress=not args.quiet
    )
    result = findings.retraining
    return dict(
        subject=args.preset,
        data=args.data,
        retraining=result.json(),
        text=repr(result),
        exit_code=int(result.failed),
    )


def _refuse_options(args: argparse.Namespace, accepted: Sequence[str], reason: str) -> None:
    """Raise KzooError for an option that is neither accepted nor for all commands."""
    accepted = ("command", "debug", "json", "preset", "resolved", *accepted)
    defaults = dict(
        seed=0, data_seed=0, validation=0.1, split="random", precision="auto", folds=5, parallel=1
    )
    # argparse does not say which options were passed: a value other than the default is one that was.
    for name, value in vars(args).items():
        if (
            name not in accepted
            and value is not False
            and value not in (None, [], defaults.get(name))
        ):
            option = "column" if name == "columns" else name.replace("_", "-")
            raise KzooError(f"--{option} {reason}. Remove it.")


def _check_exported(args: argparse.Namespace) -> JsonObject:
    """Compare the files of an exported model with its golden predictions."""
    accepted = ("allowed_signers", "quick", "quiet")
    _refuse_options(args, accepted, "is for presets and runs, not for an exported model")
    keras_import.silence_tensorflow()
    exported = ExportedModel(args.preset)
    signed = _signature(exported, args.allowed_signers)
    if signed["status"] == "failed":  # a SavedModel can run arbitrary code
        return dict(
            exported=exported.path,
            signature=signed,
            exports={},
            damage=exported.damage(),
            exit_code=1,
        )
    exports = exported.check(begin=lambda key: shared.print_note(f"{key}: checking"))
    damage = exported.damage()
    failed = bool(damage) or any(
        export_entry["status"] == "failed" for export_entry in exports.values()
    )
    return dict(
        exported=exported.path,
        signature=signed,
        exports=exports,
        damage=damage,
        exit_code=int(failed),
    )


def _signature(exported: ExportedModel, allowed_signers: str | None) -> JsonObject:
    """Return the status of the signature ("ok", "none", "failed" or "unchecked"), its key, and a line about it."""
    if allowed_signers is None and exported.manifest.signing_key and not signature.is_available():
        note = "not verified, because ssh-keygen is not installed. Install OpenSSH."
        return dict(status="unchecked", note=note)
    try:
        verified = exported.signature(allowed_signers)
    except signature.SignatureError as error:
        return dict(status="failed", note=str(error))
    if verified is None:
        return dict(status="none", note=None)
    whose = f"of {verified.signer}, " if verified.signer else ""
    note = f"valid, {whose}{verified.key_type} key {verified.fingerprint}"
    if not verified.signer:
        note += " (--allowed-signers FILE tells whose key it is)"
    return dict(status="ok", note=note) | asdict(verified)


def render(document: JsonObject, args: argparse.Namespace) -> str:
    if "exported" in document:
        lines = []
        if document["signature"]["note"] is not None:
            lines.append(f"signature: {spelled(document['signature']['note'])}")
        if document["exports"]:
            lines += [*export.table(document["exports"]), *export.problems(document["exports"])]
        return "\n".join(lines + [f"  {line}" for line in document["damage"]])
    if "retraining" in document:
        return spelled(document["text"])
    if "learning_curve" in document:
        folder = document["learning_curve"]["folder"]
        return f"{document['text']}\n\n  plot  {os.path.join(folder, 'learning_curve.png')}"
    if "wrong_labels" in document:
        return "\n".join(_wrong_labels_lines(document))
    findings = document["findings"]
    count = len(document["checks"])
    lines = (
        []
        if document["overview"] is None
        else [*data_summary.summary_lines(document["overview"]), ""]
    )
    totals = []
    if not findings:
        lines.append(f"{count} checks, no problems found")
    for level in ("error", "warning"):
        selected = [finding for finding in findings if finding["level"] == level]
        if not selected:
            continue
        totals.append(plural(len(selected), level))
        lines.append(shared.bold(f"{level}s"))
        for finding in selected:
            lines += tables.columns([(finding["check"], spelled(finding["what"]))])
            rows = [(name, spelled(finding[name])) for name in ("where", "why", "fix")]
            lines += [*tables.columns(rows, indent=4), ""]
    lines += [f"{count} checks: {', '.join(totals)}"] if totals else []
    return "\n".join(
        [*lines, *(_baselines_and_presets(document, args) if "presets" in document else [])]
    )


def _value(scores: JsonObject, name: str) -> str:
    """Return a score as text; empty if it was not computed."""
    value = value_of(scores, name)
    return "" if value is None else number(value, name)


def _baselines_and_presets(document: JsonObject, args: argparse.Namespace) -> list[str]:
    """Return the lines that show the scores of baselines and the presets to try."""
    lines = []
    scored = [row for row in document["baselines"] or () if row["value"] is not None]
    if scored:
        split = scored[0]["split"]
        shown = scored[0]["shown"]
        rows = [("", *map(metric_label, shown), "seconds", "")]
        rows += [
            (
                row["label"],
                *("" if row["value"] is None else _value(row["scores"], name) for name in shown),
                "" if row["value"] is None else f"{row['seconds']:.1f}",
                spelled("; ".join(row["notes"])),
            )
            for row in document["baselines"]
        ]
        note = " (the test split is not used)" if split == "validation" else ""
        lines += [
            "",
            shared.bold(f"baselines, scored on the {split} split{note}"),
            *tables.columns(rows, align="<" * (1 + len(shown)) + ">"),
        ]
    if (suggested := document["suggested_baseline"]) is not None:
        lines += ["", *shared.hanging_indent("", suggested["why"]), "", f"  {suggested['call']}"]
    presets = document["presets"][:_MAX_PRESETS]
    if not presets:
        return [
            *lines,
            "",
            "No preset fits this data. See `kzoo list` for the task of each preset.",
        ]
    lines += ["", *shared.hanging_indent("", order_line(presets))]
    rows = [
        (
            row["preset"],
            f"{row['score']} on {row['data']}" if row["score"] else "not measured",
            f"{row['seconds']:.0f} s" if row["score"] else "",
            f"best baseline: {row['beside']}" if row["beside"] else "",
        )
        for row in presets
    ]
    missing = document["missing"]
    return [
        *lines,
        *tables.columns(rows, align="<<>"),
        *(["", *shared.hanging_indent("", missing)] if missing else []),
        "",
        f"  {document['command']}",
    ]

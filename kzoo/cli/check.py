"""Check data, settings and network before training; or new data; or an export."""

from dataclasses import asdict
from pathlib import Path

from kzoo.cli import data_summary, export, keras_import, shared, tables, train
from kzoo.data import detection
from kzoo.exported import ExportedModel
from kzoo.registry import get_preset
from kzoo.results import number
from kzoo.results.suggest import ranked_by
from kzoo.untracked import run_or_none
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, spelled

_MAX_PRESETS = 8  # listed at most

EXAMPLES = """\
examples:
  kzoo check iris_fnn                              with its own data set
  kzoo check tabular_fnn --data churn.csv --target churned
  kzoo check --data churn.csv --target churned     baselines, and presets to try
  kzoo check image_cnn --data photos/ --quick      without gradient steps
  kzoo check runs/tabular_fnn-01 --data may.csv    compare with training data
  kzoo check runs/tabular_fnn-01 --data may.csv && ./score
  kzoo check exports/digits_cnn-01                 each file in its own runtime
exit code:
  0  no errors (there may be warnings)   1  errors   2  invalid input
"""


def add_arguments(parser):
    add = parser.add_argument
    add(
        "preset",
        metavar="PRESET|RUN|EXPORTED",
        nargs="?",
        help="a name from `kzoo list`, or the folder of a run or of an exported model; if omitted, only --data "
        "is checked",
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
    train.add_training_options(parser)


def run(args):
    if args.preset is not None and (Path(args.preset) / "kzoo.json").is_file():
        return _check_exported(args)
    settings = train.settings_of(args)
    if args.resolved is not None:
        train.check_settings(args, settings)
    elif args.preset is not None and not detection.is_data(args.preset) and run_or_none(args.preset) is None:
        get_preset(args.preset)
    # Keras is imported here, after all checks that work without it.
    check_module = keras_import.import_quietly("kzoo.evaluation.check")
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
    return document | dict(
        baselines=None
        if baselines is None
        else [asdict(baseline) | dict(value=baseline.value) for baseline in baselines],
        presets=findings.presets,
        command=_train_command(args, findings.presets),
    )


def _train_command(args, presets):
    """Return the command that trains the first of the presets on this data; None if there are no presets."""
    if not presets:
        return None
    data = args.preset if args.data is None else args.data
    return shared.train_command(args, get_preset(presets[0]["preset"]), data, seed=args.seed)


def _check_exported(args):
    """Compare the files of an exported model with its golden predictions."""
    accepted = ("command", "debug", "json", "preset", "quick")
    defaults = dict(seed=0, data_seed=0, validation=0.1, split="random", precision="auto")
    # argparse does not say which options were passed: a value other than the default is one that was.
    for name, value in vars(args).items():
        if name not in accepted and value not in (None, [], defaults.get(name)):
            option = "column" if name == "columns" else name.replace("_", "-")
            raise KzooError(f"--{option} is for presets and runs, not for an exported model. Remove it.")
    keras_import.silence_tensorflow()
    exported = ExportedModel(args.preset)
    exports = exported.check(begin=lambda key: shared.print_note(f"{key}: checking"))
    damage = exported.damage()
    failed = bool(damage) or any(export_entry["status"] == "failed" for export_entry in exports.values())
    return dict(exported=exported.path, exports=exports, damage=damage, exit_code=int(failed))


def render(document, args):
    if "exported" in document:
        lines = [*export.table(document["exports"]), *export.problems(document["exports"])]
        return "\n".join(lines + [f"  {line}" for line in document["damage"]])
    findings, count = document["findings"], len(document["checks"])
    lines, totals = [] if document["overview"] is None else [*data_summary.summary_lines(document["overview"]), ""], []
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
    return "\n".join([*lines, *(_baselines_and_presets(document, args) if "presets" in document else [])])


def _baselines_and_presets(document, args):
    """Return the lines that show the scores of baselines and the presets to try."""
    lines, scored = [], [row for row in document["baselines"] or () if row["value"] is not None]
    if scored:
        metric, split = scored[0]["metric"], scored[0]["split"]
        rows = [("", shared.metric_label(metric), "seconds", "")]
        rows += [
            (
                row["label"],
                "" if row["value"] is None else number(row["value"], metric),
                "" if row["value"] is None else f"{row['seconds']:.1f}",
                spelled("; ".join(row["notes"])),
            )
            for row in document["baselines"]
        ]
        note = " (the test split is not used)" if split == "validation" else ""
        lines += [
            "",
            shared.bold(f"baselines, scored on the {split} split{note}"),
            *tables.columns(rows, align="<<>"),
        ]
    presets = document["presets"][:_MAX_PRESETS]
    if not presets:
        return [*lines, "", "No preset fits this data. See `kzoo list` for the task of each preset."]
    lines += ["", *shared.hanging_indent("", ranked_by(presets))]
    rows = [
        (
            row["preset"],
            f"{row['score']} on {row['data']}" if row["score"] else "not measured",
            f"{row['seconds']:.0f} s" if row["score"] else "",
            f"best baseline: {row['beside']}" if row["beside"] else "",
        )
        for row in presets
    ]
    return [*lines, *tables.columns(rows, align="<<>"), "", f"  {document['command']}"]

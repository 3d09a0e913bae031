"""Show how data is read, what is wrong or new in it, or altered in an export."""

from dataclasses import asdict
from pathlib import Path

from kzoo.cli import common, data_summary, export, keras_import, tables, train
from kzoo.data import detection
from kzoo.exported import ExportedModel
from kzoo.registry import get_preset
from kzoo.results import number
from kzoo.results.suggest import ranked_by
from kzoo.tasks import score_named
from kzoo.untracked import run_or_none
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, spelled

_PRESETS = 8  # that are named

EXAMPLES = """\
examples:
  kzoo check iris_fnn                              its own data
  kzoo check tabular_fnn --data churn.csv --target churned
  kzoo check --data churn.csv --target churned     baselines, and presets to try
  kzoo check image_cnn --data photos/ --quick      without gradient steps
  kzoo check runs/tabular_fnn-01 --data may.csv    what is new in May?
  kzoo check runs/tabular_fnn-01 --data may.csv && ./score
  kzoo check exports/digits_cnn-01                 each file, in its own runtime
exit code:
  0  no error, though there may be warnings   1  an error   2  bad input
"""


def add_arguments(parser):
    add = parser.add_argument
    add(
        "preset",
        metavar="PRESET|RUN|EXPORTED",
        nargs="?",
        help="a name from `kzoo list`, or the folder of a run or export; without it --data is looked at alone",
    )
    add("--data", metavar="SOURCE", help="what `kzoo train` takes; with a run: new data, with answers or without")
    add(
        "--quick",
        action="store_true",
        help="only what `kzoo train` does by itself: no gradient steps, no long baselines",
    )
    train.add_settings(parser)


def run(args):
    if args.preset is not None and (Path(args.preset) / "kzoo.json").is_file():
        return _exported(args)
    settings = train.settings_of(args)
    if args.resolved is not None:
        train.check_settings(args, settings)
    elif args.preset is not None and not detection.is_data(args.preset) and run_or_none(args.preset) is None:
        get_preset(args.preset)
    door = keras_import.import_quietly("kzoo.evaluation.check")
    findings, names = door.examine(
        args.preset,
        args.data,
        common.requested_data_options(args),
        settings,
        deep=not args.quick,
        seed=args.seed,
        weights=args.weights,
        freeze=train.frozen(args.freeze),
        precision=args.precision,
    )
    document = dict(
        subject=args.preset,
        data=args.data,
        overview=findings.overview,
        checks=names,
        findings=[asdict(found) for found in findings],
        exit_code=int(any(found.level == "error" for found in findings)),
    )
    if findings.presets is None:
        return document
    scored = findings.baselines
    return document | dict(
        baselines=None if scored is None else [asdict(one) | dict(value=one.value) for one in scored],
        presets=findings.presets,
        command=_training(args, findings.presets),
    )


def _training(args, presets):
    """Return the command that trains the first of the presets on this data; None where there is none."""
    if not presets:
        return None
    data = args.preset if args.data is None else args.data
    return common.train_command(args, get_preset(presets[0]["preset"]), data, seed=args.seed)


def _exported(args):
    """Compare an exported model's files with its golden answers."""
    own = ("command", "debug", "json", "preset", "quick")
    usual = dict(seed=0, data_seed=0, validation=0.1, precision="auto")
    for name, value in vars(args).items():
        if name not in own and value not in (None, [], usual.get(name)):
            option = "column" if name == "columns" else name.replace("_", "-")
            raise KzooError(
                f"--{option} is for presets and runs: an exported model is compared with its own golden answers."
            )
    keras_import.silence_tensorflow()
    exported = ExportedModel(args.preset)
    exports = exported.check(begin=lambda key: common.print_note(f"{key}: checking"))
    damage = exported.damage()
    failed = bool(damage) or any(entry["status"] == "failed" for entry in exports.values())
    return dict(exported=exported.path, exports=exports, damage=damage, exit_code=int(failed))


def render(document, args):
    if "exported" in document:
        lines = [*export.table(document["exports"]), *export.problems(document["exports"])]
        return "\n".join(lines + [f"  {line}" for line in document["damage"]])
    findings, count = document["findings"], len(document["checks"])
    lines, numbers = [] if document["overview"] is None else [*data_summary.summary_lines(document["overview"]), ""], []
    if not findings:
        lines.append(f"{count} checks, all quiet")
    for level in ("error", "warning"):
        found = [f for f in findings if f["level"] == level]
        if not found:
            continue
        numbers.append(plural(len(found), level))
        lines.append(common.bold(f"{level}s"))
        for one in found:
            lines += tables.columns([(one["check"], spelled(one["what"]))])
            rows = [(name, spelled(one[name])) for name in ("where", "why", "fix")]
            lines += [*tables.columns(rows, indent=4), ""]
    lines += [f"{count} checks: {', '.join(numbers)}"] if numbers else []
    return "\n".join([*lines, *(_outlook(document, args) if "presets" in document else [])])


def _outlook(document, args):
    """Lay out what needs no network, and which presets to try."""
    lines, scored = [], [one for one in document["baselines"] or () if one["value"] is not None]
    if scored:
        metric, split = scored[0]["metric"], scored[0]["split"]
        rows = [("", _head(metric), "seconds", "")]
        rows += [
            (
                one["label"],
                "" if one["value"] is None else number(one["value"], metric),
                "" if one["value"] is None else f"{one['seconds']:.1f}",
                spelled("; ".join(one["notes"])),
            )
            for one in document["baselines"]
        ]
        unseen = "; the test split stays unseen" if split == "validation" else ""
        lines += [
            "",
            common.bold(f"without a network, on the {split} split{unseen}"),
            *tables.columns(rows, align="<<>"),
        ]
    presets = document["presets"][:_PRESETS]
    if not presets:
        return [*lines, "", "No preset of the zoo is for such data: `kzoo list` shows what each is for."]
    lines += ["", *common.hanging("", ranked_by(presets))]
    rows = [
        (
            one["preset"],
            f"{one['score']} on {one['data']}" if one["score"] else "not measured",
            f"{one['seconds']:.0f} s" if one["score"] else "",
            f"without a network: {one['beside']}" if one["beside"] else "",
        )
        for one in presets
    ]
    return [*lines, *tables.columns(rows, align="<<>"), "", f"  {document['command']}"]


def _head(metric):
    known = score_named(metric)
    return metric if known is None else known.short or known.label

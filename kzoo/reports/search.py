"""The report of a search: its trials, its figures, and the winner's settings next to the preset's."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Literal

from matplotlib.figure import Figure

from kzoo import plots
from kzoo.data.named import NAMES
from kzoo.reports.figures import EmbeddedFigure, embed_figure
from kzoo.reports.setting_format import format_setting, settings_of, summary_of
from kzoo.tuning.importance import importance_of
from kzoo.tuning.records import FINISHED, Request, Trial, best_of, leaderboard, preset_score
from kzoo.tuning.search import Search
from kzoo.tuning.spaces.entry import Parameter, format_value
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import duration, number, percent, plural
from kzoo.zoo.registry import meaning_of

_MAX_TRIALS = 100  # trials in the leaderboard
_SHARE_METRICS = ("val_accuracy",)  # metrics between 0 and 1, written as percentages
_FIGURES: tuple[tuple[Literal["history", "curves", "importance"], str, str], ...] = (
    (
        "history",
        "Score per trial",
        "The score of each trial at its best epoch, in the order of the trials.",
    ),
    ("curves", "Learning curves", "The same metric at every epoch. Pruned trials end early."),
    (
        "importance",
        "Hyperparameter importance",
        "How much worse the ranks of trials are predicted if it is shuffled.",
    ),
)


def search_page(search: Search) -> JsonObject:
    """Return the variables of the template of a search."""
    trials = search.trials
    spec = search.request.spec
    data = search.request.data
    best = best_of(trials, search.objective)
    if search.request.is_auto:
        return _auto_page(search, trials, best)
    return dict(
        title=f"{spec['preset']} tuned on {data['name']}",
        about="" if search.request.has_custom_models else summary_of(spec),
        start=search.request.start,
        facts=_facts(search, trials),
        head=None if best is None else _headline(search, trials, best),
        warnings=_warnings(search, trials, best),
        pictures=_figures(search),
        board=_leaderboard(search, trials),
        changed=None if best is None else _changed_settings(search),
        settings=() if best is None else settings_of(search.best_spec()),
        use=None if best is None else _usage_code(search),
        space=_space_table(search.parameters, search.request.has_custom_models),
        provenance=_provenance(search),
    )


def _auto_page(search: Search, trials: Sequence[Trial], best: Trial | None) -> JsonObject:
    """Return the variables of the template of a search of "auto", which compared baselines and presets."""
    folder = search.path.name
    data = search.request.data["name"]
    verdict = None
    with suppress(KzooError):
        verdict = search.verdict
    head = None
    if best is not None and best.score is not None:
        head = dict(
            value=_format_score(search, best.score),
            label=f"{search.objective.name.replace('_', ' ')} of {best.hyperparameters['model']}, the highest of "
            f"{plural(len(trials), 'candidate')}, on the rows on which candidates were compared",
            sentence=verdict or "The search is not finished: repeat the same call to continue it.",
        )
    use = None
    if verdict is not None:
        use = f'import kzoo\nrun = kzoo.Search("{folder}").winner\n\nkzoo.predict(run, "new.csv")'
    return dict(
        title=f"Models for {data}",
        about="",
        start=search.request.start,
        facts=_facts(search, trials),
        head=head,
        warnings=[],
        pictures=_figures(search, ("history",)),
        board=_leaderboard(search, trials),
        changed=None,
        settings=(),
        use=use,
        space=None,
        provenance=_provenance(search),
    )


def _facts(search: Search, trials: Sequence[Trial]) -> list[tuple[str, object]]:
    request = search.request
    data = search.request.data
    counts = Counter(trial.status for trial in trials)
    statuses = ", ".join(
        f"{counts[status]} {status}"
        for status in (*FINISHED, "running", "interrupted")
        if counts[status]
    )
    validation = (
        f"{request.folds} folds" if request.folds else plural(data["validation"], "example")
    )
    return [
        ("Task", request.spec["task"].replace("_", " ")),
        ("Data", data["name"]),
        ("Training", plural(data["train"], "example")),
        ("Validation", validation),
        ("Objective", ", ".join(search.objective)),
        ("Engine", request.engine),
        *([] if request.is_auto else [("Hyperparameters", len(search.parameters))]),
        ("Time", duration(round(sum(trial.seconds for trial in trials)))),
        ("Trials", f"{len(trials)} of {request.trials}" + (f": {statuses}" if statuses else "")),
    ]


def _format_score(search: Search, value: float) -> str:
    """Return a value of the objective as text."""
    return percent(value) if search.objective.name in _SHARE_METRICS else f"{value:.4g}"


def _headline(search: Search, trials: Sequence[Trial], best: Trial) -> JsonObject:
    preset = preset_score(trials)
    assert best.score is not None  # the best trial has one
    name = search.objective.name
    start = search.request.start
    if best.baseline:
        sentence = f"The best trial is {start} itself: no other settings scored better."
    elif preset is None:
        sentence = f"{_capitalize(start)} itself was not among the trials, or has no score, so the gain is unknown."
    else:
        gain = (best.score - preset) * search.objective.sign
        gain_text = f"{100 * gain:.1f} points" if name in _SHARE_METRICS else f"{gain:.4g}"
        sentence = (
            f"{_capitalize(start)} itself has {_format_score(search, preset)}: "
            f"a gain of {gain_text}{_gain_in_examples(search, gain)}."
        )
    return dict(
        value=_format_score(search, best.score),
        label=f"{name.replace('_', ' ')} of trial {best.number}, the best of {plural(len(trials), 'trial')}",
        sentence=sentence,
    )


def _capitalize(words: str) -> str:
    return words[0].upper() + words[1:]


def _gain_in_examples(search: Search, gain: float) -> str:
    """Return a gain in accuracy as a number of examples."""
    if search.objective.name not in _SHARE_METRICS:
        return ""
    data = search.request.data
    count = data["train"] + data["validation"] if search.request.folds else data["validation"]
    return f", which is {number(round(gain * count))} of {plural(count, 'example')}"


def _warnings(search: Search, trials: Sequence[Trial], best: Trial | None) -> list[str]:
    messages = []
    scored = [trial for trial in trials if trial.score is not None]
    if not search.finished:
        messages.append("The search is not finished. Repeat the call of kzoo.tune to continue it.")
    if unscored := [trial for trial in trials if trial.status in ("diverged", "failed")]:
        causes = Counter(trial.error or trial.status for trial in unscored).most_common(3)
        causes_text = "; ".join(f"{count} × {cause}" for cause, count in causes)
        messages.append(f"{plural(len(unscored), 'trial')} ended without a score: {causes_text}.")
    if best is not None and not best.baseline and len(scored) > 1:
        messages.append(
            "The best of many trials is partly luck: expect a lower score on other data. "
            f"Retrain the winner, and compare its test score with that of {search.request.start}."
        )
        messages += _chance_warning(search, trials, best)
    return messages


def _chance_warning(search: Search, trials: Sequence[Trial], best: Trial) -> list[str]:
    """Return a warning if a gain in accuracy is smaller than the difference between two random samples of this size."""
    preset = preset_score(trials)
    if preset is None or best.score is None or search.objective.name not in _SHARE_METRICS:
        return []
    data = search.request.data
    count = data["train"] + data["validation"] if search.request.folds else data["validation"]
    error = math.sqrt(max(preset * (1 - preset), 1 / (4 * count)) / count)
    if best.score - preset > 2 * error:
        return []
    text = f"The gain may be due to chance with {plural(count, 'example')} (± {200 * error:.1f} points)"
    return [f"{text}: use more validation data or folds=5."]


def _figures(
    search: Search, kinds: Collection[str] | None = None
) -> list[tuple[str, str, EmbeddedFigure | None]]:
    figures: list[tuple[str, str, EmbeddedFigure | None]] = []
    for kind, title, note in _FIGURES:
        if kinds is not None and kind not in kinds:
            continue
        try:
            figure = _importance_figure(search) if kind == "importance" else search.plot(kind)
            figures.append(
                (title, note, embed_figure(figure, f"{title} of {len(search.trials)} trials"))
            )
        except KzooError as error:
            figures.append((title, str(error), None))
    return figures


def _importance_figure(search: Search) -> Figure:
    """Return the figure of hyperparameter importance in a search.

    Raises:
        KzooError: there are too few trials, or no importance is above chance.
    """
    importance = importance_of(search.trials, search.objective, search.parameters)
    if importance.weak:
        raise KzooError(
            f"{importance.sentence}, so it is not shown. More trials or folds=5 may help."
        )
    return plots.importance(importance)


def _leaderboard(search: Search, trials: Sequence[Trial]) -> JsonObject:
    rows = leaderboard(trials, search.objective)
    top = rows[:_MAX_TRIALS]
    names = list(dict.fromkeys(name for row in top for name in row.trial.hyperparameters))
    errors = any(row.trial.error for row in top)
    in_points = search.objective.name in _SHARE_METRICS
    headings = [
        "rank",
        "trial",
        "status",
        "score",
        "gain",
        "best epoch",
        "epochs",
        "seconds",
        "parameters",
    ]
    cells = [
        [
            row.rank,
            f"{trial.number}\u00a0({search.request.start.split()[-1]})"
            if trial.baseline
            else trial.number,
            trial.status,
            "–" if trial.score is None else _format_score(search, trial.score),
            "–"
            if row.gain is None
            else f"{100 * row.gain:+.1f}"
            if in_points
            else f"{row.gain:+.4g}",
            trial.best_epoch or "–",
            trial.epochs or "–",
            f"{trial.seconds:.0f}",
            "–" if trial.params is None else number(trial.params),
            *(
                format_value(trial.hyperparameters[name]) if name in trial.hyperparameters else ""
                for name in names
            ),
            *([trial.error] if errors else []),
        ]
        for row in top
        for trial in [row.trial]
    ]
    more = (
        f" The other {len(rows) - _MAX_TRIALS} are in leaderboard.csv."
        if len(rows) > _MAX_TRIALS
        else ""
    )
    gain_note = f"Gain is relative to {search.request.start}" + (
        ", in points" if in_points else "; larger is better"
    )
    note = f"{gain_note}. Cells of hyperparameters without effect in a trial are empty.{more}"
    return dict(
        heads=[*headings, *names, *(["error"] if errors else [])],
        rows=cells,
        note=note,
        numbers=["rank", "score", "gain", *headings[5:]],
    )


def _changed_settings(search: Search) -> list[tuple[str, str, str, str]]:
    """Return (setting, preset's value, winner's value, meaning) of the settings that differ."""
    spec = search.request.spec
    best = search.best_spec()
    start_settings = spec["config"] | spec["training"]
    best_settings = best["config"] | best["training"]
    if search.request.has_custom_models:
        start_settings = {parameter.name: parameter.default for parameter in search.parameters}
        best_settings = {
            name: value for name, value in search.best_config().items() if name in start_settings
        }
    rows = [
        (
            name,
            format_setting(start_settings.get(name)),
            format_setting(best_settings[name]),
            meaning_of(name, spec["family"]),
        )
        for name in best_settings
    ]
    return [row for row in rows if row[1] != row[2]]


def _usage_code(search: Search) -> str:
    name = search.request.spec["preset"]
    if search.request.has_custom_models:
        data = "" if search.request.data["name"] in NAMES else "data, "
        return "\n".join(
            (
                "import keras_tuner, kzoo",
                f'search = kzoo.Search("{search.path.name}")',
                "",
                "# trained on training and validation data, scored on the test split",
                f"run = search.retrain({data}build={name})",
                "# the network of the best trial, or an untrained one",
                "model = search.best_model()",
                "hp = keras_tuner.HyperParameters()",
                "hp.values = search.best_config()",
                f"model = {name}(hp)",
            )
        )
    return "\n".join(
        (
            "import kzoo",
            f'search = kzoo.Search("{search.path.name}")',
            "",
            "# trained on training and validation data, scored on the test split",
            f"run = search.retrain({_retrain_arguments(search.request)})",
            "# the network of the best trial, or an untrained one",
            "model = search.best_model()",
            f'model = kzoo.build("{name}", **search.best_config())',
            "# a preset like any other",
            f'kzoo.load_presets(search.save_preset("my_{name.rpartition(".")[2]}"))',
        )
    )


def _retrain_arguments(request: Request) -> str:
    """Return the arguments that `retrain` needs in addition to the folder of the search."""
    data_argument = [] if request.data["name"] in NAMES else ["data"]
    return ", ".join(
        [
            *data_argument,
            *([] if request.weights is None or request.can_reload_weights else ["weights=weights"]),
        ]
    )


def _space_table(parameters: Iterable[Parameter], is_custom: bool) -> JsonObject:
    headings = ["name", "values", "default" if is_custom else "preset", "active if"]
    rows = []
    for parameter in parameters:
        values = (
            ", ".join(map(format_setting, parameter.values))
            if parameter.values
            else _format_range(parameter)
        )
        condition = (
            ""
            if parameter.when is None
            else f"{parameter.when[0]} is {' or '.join(map(format_setting, parameter.when[1]))}"
        )
        rows.append((parameter.name, values, format_setting(parameter.default), condition))
    return dict(heads=headings, rows=rows)


def _format_range(parameter: Parameter) -> str:
    return f"{format_setting(parameter.low)} to {format_setting(parameter.high)}" + (
        ", log" if parameter.log else ""
    )


def _provenance(search: Search) -> list[tuple[str, object]]:
    request = search.request
    created = search.request.created
    rows = [
        ("Folder", search.path.name),
        ("Date", f"{created[:10]} {created[11:16]} {created[19:]}".strip()),
        ("Machine", request.machine),
        ("Backend", request.backend),
        ("Weights", request.weights or ""),
        (
            "Frozen",
            "all layers with initial weights"
            if request.freeze is True
            else format_setting(request.freeze or ""),
        ),
        ("Versions", ", ".join(f"{name} {version}" for name, version in request.versions.items())),
        ("Pruning", request.prune or "none"),
        ("Epochs", request.epochs),
        ("Seed", f"{request.seed} (proposals), {request.data.get('data_seed')} (splits)"),
        ("Data fingerprint", (request.data.get("fingerprint") or "")[:16]),
    ]
    return [(name, text) for name, text in rows if text]

"""The section of a report that explains the run: its columns, and some of its examples."""

from markupsafe import Markup

from kzoo.data.dataset import Loadable
from kzoo.evaluation.explain import explain_for_report
from kzoo.inference.explanations.explanation import Explanation, html_mark
from kzoo.reports.figures import embed_figure
from kzoo.utils.files import JsonObject
from kzoo.zoo.run import Run


def explanation_sections(
    run: Run, data: "Loadable | None", sheet: str | None, header_row: int | None
) -> list[JsonObject]:
    """Return a dict for each explanation: `method`, `about`, `limits`, `figures`, `table` and `texts`.

    Args:
        run: the run.
        data: what it was trained on, or other labelled data; None for that of a named data set.
        sheet, header_row: where the table is in an `.xlsx` workbook.

    Raises:
        KzooError: the run cannot be explained, or not without `data`.
    """
    return [
        _section(explanation) for explanation in explain_for_report(run, data, sheet, header_row)
    ]


def _section(explanation: Explanation) -> JsonObject:
    texts = [
        dict(
            title=f"{reasons.title} {reasons.prediction:.4g}",
            html=Markup(reasons.marked(html_mark)),
        )
        for reasons in explanation.rows
        if reasons.pieces
    ]
    rows = range(0 if texts else len(explanation.rows) or 1)  # marked texts need no figures
    figures = [
        embed_figure(explanation.plot(row, notes=False), f"{explanation.method}, {row + 1}")
        for row in rows
    ]
    return dict(
        method=explanation.method[0].upper() + explanation.method[1:],
        about=explanation.about,
        limits=explanation.limits,
        figures=figures,
        texts=texts,
        table=explanation.importance_cells() if explanation.importances else [],
    )

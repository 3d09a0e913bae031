"""A check of data: small tables."""

from kzoo.checks.finding import check, warning


@check("data")
def few_rows(subject):
    if len(subject.data.train) < 1000:
        yield warning(
            "The table is small",
            where="train",
            why="a network learns little from it.",
            fix="Get more rows.",
        )

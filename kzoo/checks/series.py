"""Checks of a series: times that are uneven, repeated or out of order."""

from kzoo.checks.finding import check, warning

_UNEVEN = 0.02  # share of the steps


@check("data", "series")
def uneven_times(subject):
    """Steps of different length, which the network takes for equal ones."""
    time = subject.data.seen.get("time")
    if not time:
        return
    where = f"column {time['column']!r}"
    if time["uneven"] > _UNEVEN:
        yield warning(
            f"{time['uneven']:.0%} of the steps are not {time['step']:g} seconds long, the longest is "
            f"{time['longest']:g}",
            where=where,
            why="The network counts rows, not hours: a gap looks like no time at all.",
            fix="Bring the rows to one distance first, such as DataFrame.resample.",
        )


@check("data", "series")
def times_out_of_order(subject):
    """Rows that were not in the order of time, or share a time."""
    time = subject.data.seen.get("time")
    if not time:
        return
    for count, what in ((time["disorder"], "come before the row above them"), (time["repeated"], "repeat a time")):
        if count > max(2, _UNEVEN * time["rows"]):
            yield warning(
                f"{count} of {time['rows']} rows {what}",
                where=f"column {time['column']!r}",
                why="The file may hold several series one after another, which were mixed into one by sorting.",
                fix="Give one series, or a column for each.",
            )

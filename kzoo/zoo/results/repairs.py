"""The sentence about what corrected labels bring to a run. Standard library only."""

from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural


def gain_line(summary: JsonObject) -> str | None:
    """Return a sentence on what the repairs of a run bring; None for a run without them."""
    gain = summary.get("repairs")
    if not gain:
        return None
    low, high = (100 * bound for bound in gain["interval"])
    name = gain["metric"].replace("_", " ")
    line = f"Repairs ({plural(gain['labels'], 'accepted label')}): {name} {gain['before']:.4f} before, "
    line += f"{gain['after']:.4f} with them, {100 * gain['gain']:+.1f} points (95 %: {low:+.1f} to {high:+.1f}) on "
    return line + f"{plural(gain['rows'], 'test row')} whose labels were not changed."

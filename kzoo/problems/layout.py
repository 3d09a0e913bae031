"""The order of the columns of x: numbers, codes of categories, ids of texts. Standard library only."""


def code_columns(config) -> int:
    """Return the number of last columns of x without numbers: a code for each category, and the ids of texts.

    Args:
        config: settings of a network, or of data.
    """
    return len(config.get("categories") or ()) + text_columns(config)


def text_columns(config) -> int:
    """Return the number of last columns of x that are ids of texts (see `code_columns`)."""
    return sum(config.get("text_lengths") or ())


def categories_of(x, config):
    """Return the columns of x (N, F) that are codes of categories, (N, C)."""
    end = x.shape[-1] - text_columns(config)
    return x[:, end - len(config.get("categories") or ()) : end]

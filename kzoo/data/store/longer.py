"""Windows of the same targets that reach further back."""

from dataclasses import replace

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import fingerprint
from kzoo.data.store.windows import Windows


def longer_split(split: Split, steps: int) -> Split:
    """Return the rows of a split with windows of `steps` steps that end where they did; as they are if not shorter.

    Windows reach back to the first row of their series, or the first one after a gap that is too long to be filled in,
    which is repeated before it.
    """
    x = split.x
    if not isinstance(x, Windows) or x.begins is None or x.length >= steps:
        return split
    return replace(split, x=x.longer(steps))


def longer_windows(data: Dataset, steps: int) -> Dataset:
    """Return data whose windows have `steps` steps, with the same targets; as it is if they are not shorter.

    Args:
        data: the `Dataset`.
        steps: of a window.
    """
    train = longer_split(data.train, steps)
    if train is data.train:
        return data

    def part(split: Split | None) -> Split | None:
        return None if split is None else longer_split(split, steps)

    return replace(
        data,
        train=train,
        validation=part(data.validation),
        test=part(data.test),
        calibration=part(data.calibration),
        config=data.config | {"input_shape": (steps, *data.config["input_shape"][1:])},
        preprocessing=data.preprocessing | {"steps": steps},
        fingerprint=fingerprint(data.fingerprint, f"windows of {steps} steps"),
    )

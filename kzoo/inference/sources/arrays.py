"""Arrays passed instead of raw inputs: anything that is not a number is refused before it is used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.problems.layout import RawInputs
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, in_bytes, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_MOST_TEXT = 256 << 20  # bytes of an array of texts made from lists


def numeric_array(
    array: RawInputs, name: str, *, many: bool = True, item: str = "Input"
) -> np.ndarray:
    """Return an array of finite numbers.

    Args:
        array: anything that NumPy makes an array of.
        name: of the inputs in messages: "Images".
        many: whether the first axis is that of the inputs.
        item: one of them in messages.

    Raises:
        KzooError: the array holds objects, texts or complex numbers, is empty, or contains NaN or infinity.
    """
    array = as_array(array, name)
    if array.dtype.kind not in "biuf":
        type_names = {
            "c": "complex numbers",
            "O": "objects, or lists of different lengths",
            "U": "texts",
            "S": "bytes",
        }
        raise KzooError(
            f"{name} must be an array of numbers, not of {type_names.get(array.dtype.kind, array.dtype)}."
        )
    if not array.size:
        raise KzooError(f"{name} must not be empty: the array has shape {array.shape}.")
    if array.dtype.kind == "f" and not all_finite(array):
        first = (
            f"{item} {int(np.argwhere(~np.isfinite(array))[0][0]) + 1}"
            if many and array.ndim
            else "An input"
        )
        raise KzooError(
            f"{first} contains NaN or infinity. Fill in these values, or leave the input out."
        )
    return array


def all_finite(array: np.ndarray) -> bool:
    """Return True if no number is NaN or infinity. Counting takes half the time of `all` for one small input."""
    return np.count_nonzero(np.isfinite(array)) == array.size


def check_count(count: int, most: int | None) -> None:
    """Raise `KzooError` if a request has more than `most` inputs; None allows any number."""
    if most is not None and count > most:
        raise KzooError(
            f"Too many inputs in one request: {count:,}, and at most {most:,} are allowed. Send several requests."
        )


def as_array(values: RawInputs, name: str) -> np.ndarray:
    """Return values as an array.

    Raises:
        KzooError: NumPy cannot convert them: lists of different lengths, an object that fails.
    """
    if isinstance(values, list | tuple) and (size := _text_array_size(values)) > _MOST_TEXT:
        raise KzooError(
            f"{name} must be an array of numbers, not of texts, which would take {in_bytes(size)}."
        )
    if hasattr(values, "toarray"):
        raise KzooError(
            f"{name} must not be a sparse matrix (shape {values.shape}): pass its toarray()."
        )
    try:
        return np.asarray(values)
    except Exception as error:  # an object's __array__ may raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise KzooError(f"Cannot convert {name} to an array of numbers: {reason}.") from None


def _text_array_size(values: Sequence[Any]) -> int:
    """Return the size in bytes of the array that NumPy makes of nested lists of texts; 0 without texts."""
    waiting = [values]
    count = 0
    longest = 0
    while waiting:
        sequence = waiting.pop()
        count += len(sequence)
        types = set(map(type, sequence))
        if str in types or bytes in types:
            longest = max(
                longest,
                *(len(element) for element in sequence if isinstance(element, str | bytes)),
                0,
            )
        if list in types or tuple in types:
            waiting += [element for element in sequence if isinstance(element, list | tuple)]
    return 4 * count * longest


def array_of_rows(values: RawInputs, name: str) -> np.ndarray:
    """Return values as an array (N, ...); lists of labels, a list for each row, as an array of objects (N,).

    Raises:
        KzooError: a single value, or values that `as_array` refuses.
    """
    if isinstance(values, list | tuple) and _are_label_lists(values):
        array = np.empty(len(values), object)
        for row, labels in enumerate(values):
            array[row] = labels
        return array
    array = as_array(values, name)
    if not array.ndim:
        raise KzooError(
            f"{name} must be an array with a value for each row, not a single value: {shown(array)}."
        )
    return array


def _are_label_lists(values: Sequence[Any]) -> bool:
    """Return whether a sequence has a list of texts for each row, or lists of different lengths."""
    if not values or not all(isinstance(row, list | tuple | set | frozenset) for row in values):
        return False
    if (
        any(isinstance(row, set | frozenset) for row in values)
        or len({len(row) for row in values}) > 1
    ):
        return all(np.ndim(label) == 0 for row in values for label in row)
    return any(isinstance(label, str) for row in values for label in row)


def check_whole_numbers(array: np.ndarray, name: str, high: int | None, *, low: int = 0) -> None:
    """Check that all numbers of an array are integers from `low` to `high`.

    Raises:
        KzooError: one is not; `high` may be None for no upper limit.
    """
    invalid = (array != np.round(array)) | (array < low)
    invalid = invalid if high is None else invalid | (array > high)
    if invalid.any():
        index = tuple(int(i) for i in np.argwhere(invalid)[0])
        legal = f"{low} to {high}" if high is not None else f"{low} and above"
        raise KzooError(
            f"{name} must be whole numbers, {legal}. Found {array[index]:.12g} at index {list(index)}."
        )


def class_numbers(labels: "ArrayLike") -> np.ndarray:
    """Return class numbers (N,) of labels that may also be a column (N, 1) or one-hot rows (N, K)."""
    labels = np.asarray(labels)
    return (
        labels.argmax(axis=-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(-1)
    )

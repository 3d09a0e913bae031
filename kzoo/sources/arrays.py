"""Arrays that are given in place of raw inputs: what is no number is refused before anything is made of it."""

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, in_bytes, shown

_MOST_TEXT = 256 << 20  # bytes of an array of texts that is made of lists


def numbers_in(array, what, *, many=True) -> np.ndarray:
    """Return an array as it is, if it holds numbers and all of them are finite.

    Args:
        array: anything that NumPy makes an array of.
        what: the name of such inputs in a message: "Images".
        many: whether its first axis is that of the inputs.

    Raises:
        KzooError: objects, texts, complex numbers, none at all, NaN or infinity.
    """
    array = as_array(array, what)
    if array.dtype.kind not in "biuf":
        kinds = {"c": "complex numbers", "O": "objects, or lists of different lengths", "U": "texts", "S": "bytes"}
        raise KzooError(f"{what} are arrays of numbers; this one holds {kinds.get(array.dtype.kind, array.dtype)}.")
    if not array.size:
        raise KzooError(f"{what} are missing: the array has shape {array.shape}.")
    if array.dtype.kind == "f" and not all_finite(array):
        first = f"Input {int(np.argwhere(~np.isfinite(array))[0][0]) + 1}" if many and array.ndim else "An input"
        raise KzooError(f"{first} holds NaN or infinity: fill it in or leave it out.")
    return array


def all_finite(array) -> bool:
    """Say whether no number is NaN or infinity; counted, which for one small input takes half of what `all` does."""
    return np.count_nonzero(np.isfinite(array)) == array.size


def check_count(count, most) -> None:
    """Raise `KzooError` where a request has more inputs than it may; `most` is None for any number."""
    if most is not None and count > most:
        raise KzooError(f"{count:,} inputs are more than the {most:,} of one request: send them in several.")


def as_array(values, what) -> np.ndarray:
    """Return values as an array.

    Raises:
        KzooError: NumPy makes none of them: lists of different lengths, an object that fails.
    """
    if isinstance(values, list | tuple) and (size := _size_of_texts(values)) > _MOST_TEXT:
        raise KzooError(f"{what} are arrays of numbers; this one holds texts, which would take {in_bytes(size)}.")
    if hasattr(values, "toarray"):
        raise KzooError(f"{what} of a sparse matrix {values.shape} cannot be read: give its toarray().")
    try:
        return np.asarray(values)
    except Exception as error:  # whatever an object's __array__ does
        says = f"{type(error).__name__}: {first_line(error)}"
        raise KzooError(f"{what} cannot be read as an array of numbers: {says}.") from None


def _size_of_texts(values) -> int:
    """Return the bytes of the array that NumPy makes of lists with texts: the longest decides for each; 0 without."""
    waiting, count, longest = [values], 0, 0
    while waiting:
        some = waiting.pop()
        count += len(some)
        types = set(map(type, some))
        if str in types or bytes in types:
            longest = max(longest, *(len(one) for one in some if isinstance(one, str | bytes)), 0)
        if list in types or tuple in types:
            waiting += [one for one in some if isinstance(one, list | tuple)]
    return 4 * count * longest


def with_rows(values, what) -> np.ndarray:
    """Return values as an array (N, ...).

    Raises:
        KzooError: a single value, or what `as_array` refuses.
    """
    array = as_array(values, what)
    if not array.ndim:
        raise KzooError(f"{what} is a single value, {shown(array)}: give an array with one for each row.")
    return array


def whole_in(array, what, high, *, low=0) -> None:
    """Check that numbers are whole and between two.

    Raises:
        KzooError: one that is not; `high` is the highest that is legal, or None.
    """
    bad = (array != np.round(array)) | (array < low)
    bad = bad if high is None else bad | (array > high)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        legal = f"{low} to {high}" if high is not None else f"{low} and above"
        raise KzooError(f"{what} are whole numbers, {legal}; {list(place)} holds {array[place]:.12g}.")


def class_numbers(labels) -> np.ndarray:
    """Return the numbers of classes (N,) of labels that may be a column (N, 1) or one-hot rows (N, K)."""
    labels = np.asarray(labels)
    return labels.argmax(axis=-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(-1)

"""The helper by which other tests read messages: it fails where a value or a fix is missing."""

import warnings

import pytest
from messages import assert_mentions, missing_from, refuses, warns

from kzoo.utils.errors import KzooError, KzooWarning

MESSAGE = "x and y must have the same number of rows\n(x: 90, y: 1907)."


@pytest.mark.parametrize(
    "parts", [("90",), ("X and Y",), ("y: 1907",), ("rows (x",), ("90", "1907)")]
)
def test_parts_that_a_message_holds(parts):
    assert_mentions(MESSAGE, *parts)


@pytest.mark.parametrize("part", ["9", "190", "row", "_rows", "x and  z"])
def test_a_part_that_is_missing_fails(part):
    assert missing_from(MESSAGE, ["90", part]) == [part]
    with pytest.raises(AssertionError, match="1907"):
        assert_mentions(MESSAGE, "90", part)


@pytest.mark.parametrize("parts", [(), ("",), (" ",), (90,)])
def test_nothing_to_look_for_is_an_error(parts):
    for check in (refuses, warns):
        with pytest.raises(TypeError, match="Name the value and the fix"), check(*parts):
            raise AssertionError("the block must not run")


def test_refuses_wants_the_error_and_its_parts():
    with refuses("90", error=ValueError) as caught:
        raise ValueError("90 rows")
    assert caught.value.args == ("90 rows",)
    with pytest.raises(AssertionError, match="80"), refuses("80"):
        raise KzooError("90 rows")
    with pytest.raises(pytest.fail.Exception), refuses("90"):
        pass
    with pytest.raises(ZeroDivisionError), refuses("90"):
        1 / 0  # noqa: B018 - another error comes through


def test_warns_wants_all_parts_in_one_warning():
    with pytest.raises(AssertionError, match="80"), warns("90", "80"):
        warnings.warn(KzooWarning("90 rows"), stacklevel=1)
        warnings.warn(KzooWarning("80 columns"), stacklevel=1)
    with pytest.raises(pytest.fail.Exception), warns("90"):
        pass


def test_other_warnings_are_warned_of_again():
    with pytest.warns(UserWarning, match="columns"), warns("90"):
        warnings.warn(KzooWarning("90 rows"), stacklevel=1)
        warnings.warn("80 columns", UserWarning, stacklevel=1)

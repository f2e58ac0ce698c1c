"""The gates for what users give: each check says what is wrong, what is allowed and what was received."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class UserError(ValueError):
    """A mistake in what the user gave. The command line prints its message in one line and exits with 2."""


def check_number(
    value: float | str, name: str, low: float = -math.inf, high: float = math.inf, above: float | None = None
) -> float:
    """Check a finite number against its range.

    Args:
        value: The number, or text that holds one.
        name: Its name in the message.
        low: Least value allowed.
        high: Greatest value allowed.
        above: When given, the value must be greater than this (used instead of ``low``).

    Returns:
        The value as a float.

    Raises:
        UserError: If it is not a finite number in the range.

    >>> check_number(3, "seconds", above=0)
    3.0
    """
    least, most = (f"{int(end)}" if abs(end) < 1e15 and end == int(end) else f"{end:g}" for end in (low, high))
    allowed = f"greater than {above:g}" if above is not None else f"from {least} to {most}"
    if above is not None and high < math.inf:
        allowed += f" and at most {most}"
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name} must be a number {allowed}. Received: {name}={value!r}") from None
    too_low = number <= above if above is not None else number < low
    if not math.isfinite(number) or too_low or number > high:
        raise UserError(f"{name} must be a number {allowed}. Received: {name}={value!r}")
    return number


def check_integer(value: int, name: str, low: int, high: int) -> int:
    """Check a whole number against its range, both ends allowed.

    Args:
        value: The number.
        name: Its name in the message.
        low: Least value allowed.
        high: Greatest value allowed.

    Returns:
        The value as an int.

    Raises:
        UserError: If it is not a whole number in the range.

    >>> check_integer(7, "seed", 0, 10)
    7
    """
    import operator

    try:
        number = operator.index(value)
    except TypeError:
        raise UserError(f"{name} must be a whole number from {low} to {high}. Received: {name}={value!r}") from None
    if not low <= number <= high:
        raise UserError(f"{name} must be a whole number from {low} to {high}. Received: {name}={value!r}")
    return number


def check_choice(value: str, name: str, choices: list[str]) -> str:
    """Check that a value is one of the choices.

    Args:
        value: The value.
        name: Its name in the message.
        choices: What is allowed.

    Returns:
        The value.

    Raises:
        UserError: If it is none of them.

    >>> check_choice("wav", "format", ["wav", "flac"])
    'wav'
    """
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}. Received: {name}={value!r}")
    return value


def check_exists(path: str | Path, what: str) -> Path:
    """Check that a file or folder exists.

    Args:
        path: The path.
        what: What it should be, for the message.

    Returns:
        The path.

    Raises:
        UserError: If nothing is there.
    """
    found = Path(path)
    if not found.exists():
        raise UserError(f"{what} does not exist: {found}. Check the path.")
    return found


def check_may_open(name: str | Path, files: bool) -> None:
    """Check that a file's name may stand where it stands.

    Args:
        name: The name.
        files: Whether files may be named there.

    Raises:
        UserError: If they may not, as in what a visitor of the app gives: the files would be this machine's.
    """
    if not files:
        raise UserError(f"what is given here may not name other files. Received: {str(name)[:60]!r}")


def check_known(values: Mapping[Any, Any], known: Sequence[str], what: str) -> None:
    """Check that a mapping has no unknown keys.

    Args:
        values: The mapping.
        known: The keys that it may have.
        what: What it describes, for the message.

    Raises:
        UserError: If there is an unknown key; the message names the nearest known one.

    >>> check_known({"seed": 7}, ["seed", "style"], "a point")
    """
    import difflib

    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}."
            raise UserError(f"{what}: unknown key {key!r}; {hint}")

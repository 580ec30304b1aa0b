"""Readers of command-line values."""

import argparse
from collections.abc import Callable


def positive(cast: type) -> Callable[[str], int | float]:
    """A reader of positive numbers for argparse."""

    def read(text: str) -> int | float:
        value = cast(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return value

    read.__name__ = "number"
    return read

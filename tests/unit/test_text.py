"""Text of unknown origin for logs and columns of errors."""

import pytest

from tom_fink.text import CUT_MARK, printable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("The value ends too early (500 bytes).", "The value ends too early (500 bytes)."),
        ("é ☃ \U0001f525", "é ☃ \U0001f525"),
        ("a\nERROR fake: all is well\r", "a\\nERROR fake: all is well\\r"),
        ("\0\x1b[31m\x9b", "\\x00\\x1b[31m\\x9b"),
        ("\u202egpj.exe\u2028\u200b", "\\u202egpj.exe\\u2028\\u200b"),
        ("\ud800", "\\ud800"),
        ("\\n", "\\n"),
        ("", ""),
    ],
)
def test_what_cannot_be_printed_is_escaped(given, shown):
    assert printable(given) == shown
    assert shown.isprintable()
    shown.encode()


def test_lines_of_a_traceback_stay():
    assert printable('Traceback\n\tFile "x"\r\n\0', lines=True) == 'Traceback\n\tFile "x"\\r\n\\x00'


@pytest.mark.parametrize("character", ["x", "\n", "\U0001f525", "\ud800"])
def test_the_length_is_bounded(character):
    shown = printable(character * 10_000_000, 100)
    assert len(shown) == 100
    assert shown.endswith(CUT_MARK)
    assert printable("x" * 100, 100) == "x" * 100
    assert len(printable("x" * 101, 100)) == 100

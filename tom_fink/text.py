"""Text of unknown origin, made fit for a line of a log, a column of errors or a label on a page."""

# Control characters, and what is not seen but changes how the rest is read: marks of writing direction
# (with U+202E "gpj.exe" is shown as "exe.jpg"), zero-width characters, line and paragraph separators.
# A regular expression for Polars; Python's own `re` does not know these classes.
UNPRINTABLE = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"

CUT_MARK = " … (cut)"


def printable(text: str, length: int = 2000, *, lines: bool = False) -> str:
    """`text` with what cannot be printed escaped as in Python: a newline becomes \\n.

    The result has at most `length` characters, at least 8, and ends with a mark where it was cut. It can
    be encoded in UTF-8 and stored by every database. With `lines`, newlines and tabs stay, as a traceback
    needs them. A backslash stays as it is: the result is for people and cannot be read back.
    """
    # An escape is longer than its character: what is beyond `length` could not be shown anyway.
    kept = text[: length + 1]
    if not kept.isprintable():
        allowed = "\n\t" if lines else ""
        kept = "".join(
            character if character.isprintable() or character in allowed else _escape(character)
            for character in kept
        )
    return kept if len(kept) <= length else kept[: length - len(CUT_MARK)] + CUT_MARK


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

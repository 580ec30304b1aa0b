"""Fink alerts in a TOM: a reader of Fink's streams, one writer, and the pages that show what arrived."""

__version__ = "0.1.0"

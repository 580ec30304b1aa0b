"""The reader of a stream and what keeps it running."""

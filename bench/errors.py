"""What ends the benchmark."""


class BenchError(Exception):
    """A case did not do what it measures, or the machine lacks something; the text says what."""

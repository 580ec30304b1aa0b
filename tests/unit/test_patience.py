"""How a reader waits for what is away."""

import pytest

from tom_fink.errors import GaveUp
from tom_fink.stream import patience
from tom_fink.stream.patience import FIRST_S, LONGEST_S, Patience


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that goes on when it is told to."""
    now = [100.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    return now


def test_waits_grow_up_to_a_limit(clock):
    waiting = Patience()
    waits = [waiting.wait_s(ConnectionError()) for _ in range(10)]
    for n, wait_s in enumerate(waits):
        full = min(FIRST_S * 2**n, LONGEST_S)
        assert 0.75 * full <= wait_s <= full


def test_it_gives_up_when_it_was_told_to(clock):
    waiting = Patience(give_up_after_s=10)
    clock[0] += 9.9
    assert waiting.wait_s(ConnectionError("gone")) <= 0.1 + 1e-9
    clock[0] += 0.2
    with pytest.raises(GaveUp, match=r"Gave up after 10 s.*read again: gone") as raised:
        waiting.wait_s(ConnectionError("gone"))
    assert isinstance(raised.value.__cause__, ConnectionError)

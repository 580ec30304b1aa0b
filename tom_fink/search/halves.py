"""Questions of several ids, of which one spoils the answer: asked again by halves, down to each alone."""

from collections.abc import Callable
from typing import TypeVar

from tom_fink.errors import BadAnswer, QueryRefused

Got = TypeVar("Got")


def in_halves(
    ids: list[str], get: Callable[[list[str]], Got]
) -> tuple[list[Got], dict[str, QueryRefused | BadAnswer]]:
    """What `get` gives of these ids, in their order, and the errors of those that Fink refuses or answers badly.

    Raises the error of all together if none is answered, and if the address is wrong (status 404); and what else
    `get` raises.
    """
    found: list[Got] = []
    failed: dict[str, QueryRefused | BadAnswer] = {}
    first: QueryRefused | BadAnswer | None = None
    waiting = [ids] if ids else []
    while waiting:
        some = waiting.pop(0)
        try:
            found.append(get(some))
        except (QueryRefused, BadAnswer) as error:
            if isinstance(error, QueryRefused) and error.status == 404:
                raise
            first = first or error
            if len(some) == 1:
                failed[some[0]] = error
            else:
                middle = len(some) // 2
                waiting[:0] = [some[:middle], some[middle:]]
    if first is not None and not found:
        raise first
    return found, failed

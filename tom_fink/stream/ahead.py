"""A batch that is decoded while the one before it is stored."""

import threading
from collections.abc import Callable
from typing import Any

from tom_fink.decoding.decode import Message
from tom_fink.stream.batch import Batch


class InHand:
    """A batch that was read and is not yet stored; `decode` is called for it at once, in a thread of its own.

    The thread keeps no process from ending: a decoder that hangs does not hold up a reader that is to stop.
    """

    def __init__(self, batch: Batch, decode: Callable[[list[Message]], Any]):
        self.batch = batch
        self._decode = decode
        self._decoded: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    @property
    def is_decoded(self) -> bool:
        """Whether `decoded` would return, or raise, at once."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Return as soon as it is decoded, and after so many seconds at most."""
        self._thread.join(seconds)

    def decoded(self) -> Any:
        """What `decode` returned, as soon as it has; what it raised is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._decoded

    def _run(self) -> None:
        try:
            self._decoded = self._decode(self.batch.messages)
        except BaseException as error:  # noqa: BLE001 - raised by `decoded`
            self._error = error

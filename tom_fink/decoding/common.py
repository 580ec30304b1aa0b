"""One decoder for all streams of a process. Each with one of its own would need 200 MB more."""

import threading
from collections.abc import Collection

from tom_fink.decoding.decode import Message
from tom_fink.decoding.decoder import Decoder, Read

_lock = threading.Lock()
_users: set[int] = set()
_decoder: Decoder | None = None


class CommonDecoder:
    """A stream's part in the decoder of its process, which ends with the last one that is closed."""

    def __init__(self) -> None:
        global _decoder
        with _lock:
            _decoder = _decoder or Decoder()
            _users.add(id(self))
            self._decoder = _decoder

    def read(self, messages: list[Message], as_records: Collection[int] = ()) -> Read:
        """See `Decoder.read`; where another stream's messages are being read, these wait for their turn."""
        return self._decoder.read(messages, as_records)

    @property
    def users(self) -> int:
        """How many streams have a part in it."""
        return len(_users)

    def close(self) -> None:
        """Have no part in it any more. May be called again."""
        global _decoder
        with _lock:
            _users.discard(id(self))
            if _users or _decoder is not self._decoder:
                return
            _decoder = None
        self._decoder.close()

"""Messages as no broker should send them: each a seeded mutation of one that is good."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from tom_fink.decoding.decode import Message

HUGE = (2**7, 2**20, 2**31 - 1, 2**31, 2**40, 2**60, 2**62, -1, -(2**31), -(2**62), -(2**63))


def mutations(messages: list[Message], number: int, seed: int) -> Iterator[Message]:
    """Yield `number` mutations of `messages`: flipped bits, cuts, splices, inflated lengths and others.

    Same arguments, same mutations. Topic, partition, offset and time are those of the message mutated.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(number):
        message = chance.choice(messages)
        other = chance.choice(messages)
        if chance.random() < 0.15:
            yield replace(message, key=_mutated(message.key, other.key, chance))
        elif chance.random() < 0.03:
            yield replace(message, key=other.key)
        elif chance.random() < 0.03:
            yield replace(
                message, **chance.choice(({"key": None}, {"key": b""}, {"value": None}, {"value": b""}))
            )
        else:
            yield replace(message, value=_mutated(message.value, other.value, chance))


def long(number: int) -> bytes:
    """`number` as Avro writes a long: zig-zag, seven bits a byte, lowest first (Avro 1.11)."""
    rest = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _mutated(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return chance.choice(KINDS)(content, other, chance)


def _place(content: bytes, chance: random.Random) -> int:
    """A place, half of the times near the start: cutouts are long, and any bytes do in them."""
    end = len(content) if chance.random() < 0.5 else min(len(content), 400)
    return chance.randrange(end)


def _flipped(content: bytes, other: bytes, chance: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        out[_place(content, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _cut(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content[: _place(content, chance)]


def _without(content: bytes, other: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + content[place + chance.randint(1, 200) :]


def _spliced(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content[: _place(content, chance)] + other[_place(other, chance) :]


def _longer(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content + chance.choice((b"\0", chance.randbytes(50), other))


def _inserted(content: bytes, other: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + chance.randbytes(chance.randint(1, 20)) + content[place:]


def _inflated(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """A number that may be a length or a count, and is now another."""
    place = _place(content, chance)
    return content[:place] + long(chance.choice(HUGE)) + content[place + chance.choice((0, 1, 1, 2)) :]


def _twice(content: bytes, other: bytes, chance: random.Random) -> bytes:
    start, end = sorted((_place(content, chance), _place(content, chance)))
    return content[:end] + content[start:]


KINDS: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _flipped,
    _flipped,
    _cut,
    _without,
    _spliced,
    _longer,
    _inserted,
    _inflated,
    _inflated,
    _twice,
)

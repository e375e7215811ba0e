"""Protocol buffers by hand: just enough of the wire format for the container runtime interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Debian 11's Python knows no `|` of types
    # A message as field number -> value. Lists are repeated fields; a mapping of str to str is a map field.
    Value = int | str | bytes | bool
    Field = Value | Sequence["Field"] | Mapping[str, str] | Mapping[int, "Field"]
    Message = Mapping[int, Field]


def encode(message: Message) -> bytes:
    """The bytes of a message; values that are the default (0, "", False) may be left out by the caller."""
    return b"".join(_field(number, value) for number, value in sorted(message.items()))


def decode(data: bytes) -> dict[int, list[int | bytes]]:
    """Every field's values in order; messages, strings and maps are still bytes."""
    fields: dict[int, list[int | bytes]] = {}
    for number, value in _parts(data):
        fields.setdefault(number, []).append(value)
    return fields


def text(fields: Mapping[int, Sequence[int | bytes]], number: int) -> str:
    """A string field, "" if absent."""
    value = fields.get(number, [b""])[-1]
    return value.decode() if isinstance(value, bytes) else str(value)


def number(fields: Mapping[int, Sequence[int | bytes]], index: int) -> int:
    """An integer or enum field, 0 if absent."""
    value = fields.get(index, [0])[-1]
    assert isinstance(value, int)
    return value


def messages(fields: Mapping[int, Sequence[int | bytes]], number: int) -> list[dict[int, list[int | bytes]]]:
    """A repeated message field."""
    return [decode(value) for value in fields.get(number, []) if isinstance(value, bytes)]


def string_map(fields: Mapping[int, Sequence[int | bytes]], number: int) -> dict[str, str]:
    """A map<string, string> field."""
    return {text(entry, 1): text(entry, 2) for entry in messages(fields, number)}


def _field(number: int, value: Field) -> bytes:
    if isinstance(value, int):  # and bool
        return _varint(number << 3) + _varint(int(value) & (2**64 - 1))
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    if isinstance(value, Mapping):
        items: list[tuple[int | str, Field]] = list(value.items())
        if items and isinstance(items[0][0], int):
            return _field(number, encode({key: item for key, item in items if isinstance(key, int)}))
        return b"".join(_field(number, {1: key, 2: item}) for key, item in items)
    return b"".join(_field(number, item) for item in value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _parts(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        size, at = _read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at

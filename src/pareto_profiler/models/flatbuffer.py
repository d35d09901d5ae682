"""Reading a FlatBuffer that may be hostile: every offset is checked before it is followed.

The format: https://flatbuffers.dev/internals. Reading is bounded by the size of the file: each
element visited is charged to an allowance of one per byte, so a file whose vectors all point at
each other's contents ends in an error and not in hours of work.
"""

from __future__ import annotations

import struct

from pareto_profiler.errors import ModelError


class FlatBuffer:
    """The bytes of one file, and the allowance for reading them.

    Args:
        data: The whole file.
        path: Its name, for messages.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.data = data
        self.path = path
        self._allowance = len(data)

    def error(self, message: str) -> ModelError:
        """A ``ModelError`` that names the file."""
        return ModelError(f"{self.path}: {message}")

    def read(self, code: str, position: int, what: str) -> int:
        """One little-endian number at ``position``, checked to lie in the file."""
        if position < 0 or position + struct.calcsize(code) > len(self.data):
            raise self.error(
                f"{what} points to byte {position}, outside the file of {len(self.data)} bytes"
            )
        value: int = struct.unpack_from(code, self.data, position)[0]
        return value

    def charge(self, count: int, what: str) -> None:
        """Take ``count`` elements from the allowance."""
        self._allowance -= count
        if self._allowance < 0:
            raise self.error(f"{what} repeats parts of the file over and over: it is damaged")

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.read("<I", 0, "the root table"), "the root table")


class Table:
    """One table: its fields by slot, each read checked."""

    __slots__ = ("_buffer", "_position", "_table_bytes", "_vtable", "_vtable_bytes", "what")

    def __init__(self, buffer: FlatBuffer, position: int, what: str) -> None:
        self._buffer = buffer
        self._position = position
        self.what = what
        self._vtable = position - buffer.read("<i", position, what)
        self._vtable_bytes = buffer.read("<H", self._vtable, f"the field list of {what}")
        self._table_bytes = buffer.read("<H", self._vtable + 2, f"the field list of {what}")
        if self._vtable_bytes < 4 or self._vtable_bytes % 2:
            raise buffer.error(f"the field list of {what} has {self._vtable_bytes} bytes")
        buffer.charge(1, what)

    def _field(self, slot: int) -> int:
        """Position of a field, 0 where it is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_bytes:
            return 0
        offset = self._buffer.read("<H", self._vtable + entry, f"the field list of {self.what}")
        if offset == 0:
            return 0
        if offset >= self._table_bytes:
            raise self._buffer.error(
                f"field {slot} of {self.what} lies at {offset}, "
                f"outside its {self._table_bytes} bytes"
            )
        return self._position + offset

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """A scalar field; ``code`` is a ``struct`` code."""
        position = self._field(slot)
        return (
            self._buffer.read(code, position, f"field {slot} of {self.what}")
            if position
            else default
        )

    def _target(self, slot: int) -> int:
        """Where an offset field points, 0 where it is absent."""
        position = self._field(slot)
        return self._follow(position, f"field {slot} of {self.what}") if position else 0

    def _follow(self, position: int, what: str) -> int:
        offset = self._buffer.read("<I", position, what)
        if offset == 0 or position + offset >= len(self._buffer.data):
            raise self._buffer.error(
                f"{what} points to byte {position + offset}, "
                f"outside the file of {len(self._buffer.data)} bytes"
            )
        return position + offset

    def _vector(self, slot: int, element_bytes: int, what: str) -> tuple[int, int]:
        """Position of the first element and count of a vector field; (0, 0) where absent."""
        start = self._target(slot)
        if not start:
            return 0, 0
        count = self._buffer.read("<I", start, what)
        if start + 4 + count * element_bytes > len(self._buffer.data):
            raise self._buffer.error(
                f"{what} counts {count} elements, more than the file of "
                f"{len(self._buffer.data)} bytes can hold"
            )
        return start + 4, count

    def integers(self, slot: int, what: str) -> tuple[int, ...]:
        """A vector of 32-bit integers."""
        start, count = self._vector(slot, 4, f"{what} of {self.what}")
        self._buffer.charge(count, f"{what} of {self.what}")
        return struct.unpack_from(f"<{count}i", self._buffer.data, start)

    def byte_count(self, slot: int, what: str) -> int:
        """How many bytes a vector of bytes holds."""
        return self._vector(slot, 1, f"{what} of {self.what}")[1]

    def content(self, slot: int, what: str) -> bytes:
        """The bytes of a vector of bytes."""
        start, count = self._vector(slot, 1, f"{what} of {self.what}")
        self._buffer.charge(count, f"{what} of {self.what}")
        return self._buffer.data[start : start + count]

    def text(self, slot: int, what: str) -> str:
        """A string; what cannot be decoded or would move a terminal's cursor is replaced."""
        start, count = self._vector(slot, 1, f"{what} of {self.what}")
        self._buffer.charge(count, f"{what} of {self.what}")
        text = self._buffer.data[start : start + count].decode("utf-8", "replace")
        return "".join(c if c.isprintable() else "\ufffd" for c in text)

    def table(self, slot: int, what: str) -> Table | None:
        """A table; None where there is none."""
        target = self._target(slot)
        return Table(self._buffer, target, f"{what} of {self.what}") if target else None

    def tables(self, slot: int, what: str) -> list[Table]:
        """A vector of tables; ``what`` names one of them."""
        start, count = self._vector(slot, 4, f"the list of {what}s")
        self._buffer.charge(count, f"the list of {what}s")
        return [
            Table(self._buffer, self._follow(start + 4 * i, f"{what} {i}"), f"{what} {i}")
            for i in range(count)
        ]

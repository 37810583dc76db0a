"""The tables of one epoch: rows by id, and how many of them the server has."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from tephra.v1 import label_pb2, stream_pb2

from .part import Labels, Part

Row = TypeVar("Row", bound=Hashable)


class Table(Generic[Row]):
    """Ids from 1, in order of asking."""

    def __init__(self) -> None:
        self._ids: dict[Row, int] = {}
        self.sent = 0

    def __len__(self) -> int:
        return len(self._ids)

    def id_of(self, row: Row) -> int:
        return self._ids.setdefault(row, len(self._ids) + 1)

    def take_new(self) -> list[Row]:
        """Rows that were not sent yet; from now on they are."""
        rows = list(islice(self._ids, self.sent, None))
        self.sent = len(self._ids)
        return rows

    def cut(self, rows: int) -> None:
        """Forgets all beyond so many: the server does not have them."""
        for row in list(islice(self._ids, rows, None)):
            del self._ids[row]
        self.sent = len(self._ids)


class Tables:
    """Strings, frames and stacks; the only series is row 1."""

    def __init__(self, types: Iterable[stream_pb2.StreamType]) -> None:
        self._types = list(types)
        self.begin()

    def begin(self) -> None:
        """Empty tables: a new epoch."""
        self._strings: Table[str] = Table()
        # function, file, line, line of the definition
        self._frames: Table[tuple[int, int, int, int]] = Table()
        # parent, frame
        self._stacks: Table[tuple[int, int]] = Table()
        self._series_sent = False
        self._text_bytes = 0

    def go_on(self, rows: stream_pb2.StreamRows) -> None:
        """Goes on with what the server has of the epoch."""
        self._strings.cut(rows.strings)
        self._frames.cut(rows.frames)
        self._stacks.cut(rows.stacks)
        self._series_sent = rows.series > 0

    def are_full(self, limits: stream_pb2.StreamLimits) -> bool:
        """Whether another batch may find no room."""
        most = limits.rows
        return (
            2 * len(self._strings) > most.strings
            or 2 * len(self._frames) > most.frames
            or 2 * len(self._stacks) > most.stacks
            or 2 * self._text_bytes > limits.text_bytes
        )

    def encode(self, sequence: int, epoch: int, parts: Iterable[Part]) -> stream_pb2.StreamBatch:
        """A batch in ids of this epoch, with the rows that the server lacks for it."""
        encoded = [self._part(part) for part in parts]
        return stream_pb2.StreamBatch(
            sequence=sequence, epoch=epoch, additions=self._additions(), parts=encoded
        )

    def _part(self, part: Part) -> stream_pb2.StreamPart:
        counts: dict[int, int] = {}
        for stack, count in part.stacks.items():
            node = 0
            for frame in stack:
                row = (
                    self._string(frame.function),
                    self._string(frame.file),
                    max(frame.line, 0),
                    max(frame.start_line, 0),
                )
                node = self._stacks.id_of((node, self._frames.id_of(row)))
            counts[node] = counts.get(node, 0) + count
        ids = sorted(counts)
        return stream_pb2.StreamPart(
            series=1,
            start_ms=part.start_ms,
            duration_ms=part.duration_ms,
            stack_delta=[node - before for before, node in zip([0, *ids], ids)],
            values=[counts[node] for node in ids],
            # Both types are the same counts: samples, and time by the period.
            type_column=[0, 0],
            type_scale=[1, self._types[1].period],
            label_name=[self._string(name) for name, _ in part.labels],
            label_value=[self._string(value) for _, value in part.labels],
        )
    def _string(self, text: str) -> int:
        if text == "":
            return 0
        # File names may hold bytes that are not text.
        text = text.encode("utf-8", "replace").decode()
        before = len(self._strings)
        row = self._strings.id_of(text)
        if row > before:
            self._text_bytes += len(text.encode())
        return row

    def _additions(self) -> stream_pb2.StreamAdditions:
        additions = stream_pb2.StreamAdditions(
            first_string=self._strings.sent + 1,
            first_frame=self._frames.sent + 1,
            first_stack=self._stacks.sent + 1,
        )
        additions.strings.extend(self._strings.take_new())
        for function, file, line, start_line in self._frames.take_new():
            additions.frames.function.append(function)
            additions.frames.file.append(file)
            additions.frames.line.append(line)
            additions.frames.start_line.append(start_line)
        for parent, frame in self._stacks.take_new():
            additions.stack_parent.append(parent)
            additions.stack_frame.append(frame)
        if not self._series_sent:
            additions.first_series = 1
            additions.series.append(stream_pb2.StreamSeries(types=self._types))
            self._series_sent = True
        return additions


def labels_of(labels: Labels) -> list[label_pb2.Label]:
    """Labels as messages."""
    return [label_pb2.Label(name=name, value=value) for name, value in labels]

"""Looks at the stacks of all threads, a hundred times a second, and counts them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import grpc

from .part import Frame, Labels, Part, Stack
from .stream import Stats, Stream

MINUTE_MS = 60_000
# A part is sent early when it has grown to so many different stacks.
STACKS_MAX = 5_000
LINES_MAX = 100_000
GRPC = os.path.dirname(grpc.__file__) + os.sep


class Agent:
    """A sampling thread and a stream."""

    def __init__(self, stream: Stream, hertz: int, interval_s: float) -> None:
        self._stream = stream
        self._period_s = 1 / hertz
        self._interval_ms = round(interval_s * 1_000)
        self._stopped = threading.Event()
        self._tags: dict[int, Labels] = {}
        self._frames: dict[tuple[object, int], Frame] = {}
        # Not a daemon: the interpreter waits for it at exit, so that it can send what is left.
        self._thread = threading.Thread(target=self._run, name="tephra-sampler")
        self._thread.start()

    @property
    def stats(self) -> Stats:
        """What became of the samples so far."""
        return self._stream.stats

    def stop(self) -> Stats:
        """Stops sampling and waits until all is stored, 5 seconds at most."""
        self._stopped.set()
        self._thread.join()
        return self.stats

    @contextmanager
    def tag(self, **labels: str) -> Iterator[None]:
        """Labels for the samples of this thread within the block."""
        thread = threading.get_ident()
        before = self._tags.get(thread, ())
        self._tags[thread] = tuple(sorted({**dict(before), **labels}.items()))
        try:
            yield
        finally:
            if before:
                self._tags[thread] = before
            else:
                del self._tags[thread]

    def _run(self) -> None:
        main = threading.main_thread()
        counts: dict[Labels, Counter[Stack]] = {}
        start_ms = now_ms()
        due = time.monotonic()
        while main.is_alive() and not self._stopped.wait(max(0.0, due - time.monotonic())):
            # Samples that were missed are not made up for.
            due = max(due, time.monotonic() - self._period_s) + self._period_s
            at_ms = now_ms()
            # Samples count in the minute in which their part begins, so no part goes beyond it.
            if (
                at_ms - start_ms >= self._interval_ms
                or at_ms // MINUTE_MS != start_ms // MINUTE_MS
                or sum(map(len, counts.values())) >= STACKS_MAX
            ):
                self._send(counts, start_ms, at_ms)
                counts, start_ms = {}, at_ms
            self._sample(counts)
        self._send(counts, start_ms, now_ms())
        self._stream.close(5.0)

    def _sample(self, counts: dict[Labels, Counter[Stack]]) -> None:
        own = {self._thread.ident, *self._stream.threads()}
        for thread, leaf in sys._current_frames().items():
            if thread in own:
                continue
            stack = self._stack(leaf)
            # Below the three frames of `threading` is what a thread is for.
            if any(frame.file.startswith(GRPC) for frame in stack[3:4]):
                continue
            tags = self._tags.get(thread, ())
            counts.setdefault(tags, Counter())[stack] += 1

    def _stack(self, leaf: FrameType) -> Stack:
        frames = []
        at: FrameType | None = leaf
        while at is not None:
            code, line = at.f_code, at.f_lineno or 0
            frame = self._frames.get((code, line))
            if frame is None:
                if len(self._frames) > LINES_MAX:
                    self._frames.clear()
                name = getattr(code, "co_qualname", code.co_name)
                frame = Frame(name, code.co_filename, line, code.co_firstlineno)
                self._frames[code, line] = frame
            frames.append(frame)
            at = at.f_back
        return tuple(reversed(frames))

    def _send(self, counts: dict[Labels, Counter[Stack]], start_ms: int, end_ms: int) -> None:
        if counts:
            duration_ms = max(end_ms - start_ms, 0)
            self._stream.write(
                [Part(start_ms, duration_ms, tags, stacks) for tags, stacks in counts.items()]
            )


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000

"""The agent's side of tephra.v1.IngestService/Stream, as docs/protocol/stream.md has it."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import grpc
from tephra.v1 import ingest_pb2_grpc, stream_pb2

from .part import Part
from .tables import Tables, labels_of

log = logging.getLogger("tephra_agent")

# So many stacks wait while the server is away; then the oldest that were never sent are dropped.
WAITING_STACKS_MAX = 100_000
WAIT_FIRST_S = 1.0
WAIT_MOST_S = 30.0
# With these the agent itself is wrong: opening again soon ends in the same way.
WAIT_WRONG_S = 60.0
WRONG = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


@dataclass(frozen=True)
class Stats:
    """What became of the samples."""

    written: int = 0
    """Handed to the stream."""
    settled: int = 0
    """Acknowledged, those that were refused among them."""
    refused: int = 0
    """Wrong, says the server."""
    dropped: int = 0
    """Not sent, because too much was waiting."""
    opened: int = 0
    """Calls that were welcomed."""
    epochs: int = 0
    """Begun."""


@dataclass
class Batch:
    """Samples with their sequence, and the bytes of the message that carries them in this epoch."""

    sequence: int
    parts: Sequence[Part]
    bytes: int = 0

    @property
    def samples(self) -> int:
        return sum(part.samples for part in self.parts)


class Stream:
    """Sends parts, again where it must, until they are settled. Its thread is the only one that calls."""

    def __init__(
        self, url: str, labels: Mapping[str, str], hertz: int, token: str | None = None
    ) -> None:
        self.stats = Stats()
        self._url = urlsplit(url)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._labels = labels_of(tuple(sorted(labels.items())))
        period = 1_000_000_000 // hertz
        self._tables = Tables(
            stream_pb2.StreamType(profile_type=f"wall:{kind}:wall:nanoseconds", period=period)
            for kind in ("samples:count", "wall:nanoseconds")
        )
        self._instance = os.urandom(16)
        # Guards all that follows; told when there is something to send, or nothing left.
        self._changed = threading.Condition()
        self._waiting: deque[Sequence[Part]] = deque()
        self._unsettled: deque[Batch] = deque()
        self._next = 1
        self._epoch = 0
        self._call: object | None = None
        self._sent = 0  # batches of `unsettled` that were sent on this call in this epoch
        self._window = stream_pb2.StreamWindow()
        self._limits = stream_pb2.StreamLimits()
        self._fresh = True  # whether the next batch begins an epoch
        self._wait_s = WAIT_FIRST_S
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="tephra-stream", daemon=True)
        self._thread.start()

    def threads(self) -> tuple[int, ...]:
        """Threads that are not the program's own."""
        return (self._thread.ident,) if self._thread.ident else ()

    def write(self, parts: Sequence[Part]) -> None:
        """Hands over samples that will be stored together or not at all. Never waits."""
        with self._changed:
            self._waiting.append(parts)
            self._count(written=sum(part.samples for part in parts))
            while len(self._waiting) > 1 and self._waiting_stacks() > WAITING_STACKS_MAX:
                self._count(dropped=sum(part.samples for part in self._waiting.popleft()))
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:
        """Sends what is left, and waits until it is settled, for so long at most."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _waiting_stacks(self) -> int:
        return sum(len(part.stacks) for parts in self._waiting for part in parts)

    def _count(self, **more: int) -> None:
        old = self.stats
        self.stats = replace(old, **{name: getattr(old, name) + n for name, n in more.items()})

    def _run(self) -> None:
        while True:
            wait_s = random.uniform(0, self._wait_s)
            self._wait_s = min(2 * self._wait_s, WAIT_MOST_S)
            try:
                self._talk()
            except grpc.RpcError as error:
                log.info("call ended: %s %s", error.code(), error.details())
                if error.code() in WRONG:
                    log.warning("the server refuses the stream: %s", error.details())
                    wait_s = WAIT_WRONG_S
            with self._changed:
                self._call = None
                self._changed.notify_all()
                # Until the wait is over; `write` notifies too, so ask the clock.
                until = time.monotonic() + wait_s
                while (left := until - time.monotonic()) > 0 and not self._is_over():
                    self._changed.wait(left)
                if self._is_over():
                    return

    def _talk(self) -> None:
        """One call, from `open` to its end."""
        target = f"{self._url.hostname}:{self._url.port or 443}"
        # Each attempt connects anew, at once: how long to wait is decided here.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.keepalive_time_ms", 60_000)]
        secure = self._url.scheme == "https"
        with (
            grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
            if secure
            else grpc.insecure_channel(target, options)
        ) as channel:
            call = self._call = object()
            answers = ingest_pb2_grpc.IngestServiceStub(channel).Stream(
                self._requests(call), metadata=self._metadata
            )
            for answer in answers:
                with self._changed:
                    if answer.HasField("welcome"):
                        self._take_welcome(answer.welcome)
                    elif answer.HasField("ack"):
                        self._take_ack(answer.ack)
                    self._changed.notify_all()

    def _requests(self, call: object) -> Iterator[stream_pb2.StreamRequest]:
        """What this call sends; gRPC asks for it in a thread of its own."""
        with self._changed:
            self._window = stream_pb2.StreamWindow()
            settled = self._next - 1 - len(self._unsettled)
            request = stream_pb2.StreamRequest(
                open=stream_pb2.StreamOpen(
                    version=1,
                    instance=self._instance,
                    agent="tephra agent-python 1",
                    labels=self._labels,
                    first_sequence=settled + 1,
                    last_sequence=self._next - 1,
                    epoch=self._epoch,
                )
            )
        yield request
        while True:
            with self._changed:
                while self._call is call and not self._may_send() and not self._is_done():
                    self._changed.wait()
                if self._call is not call or self._is_done():
                    return  # half-closes
                request = self._encode_next()
            yield request

    def _is_over(self) -> bool:
        return self._closing and not self._waiting and not self._unsettled

    def _is_done(self) -> bool:
        """Whether the window is known, and all was sent that there will be."""
        return (
            self._closing
            and self._window.batches > 0
            and not self._waiting
            and self._sent == len(self._unsettled)
        )

    def _may_send(self) -> bool:
        if self._window.batches == 0:  # no welcome yet
            return False
        if self._sent == len(self._unsettled) and not self._waiting:
            return False
        sent = [self._unsettled[i].bytes for i in range(self._sent)]
        return not sent or (len(sent) < self._window.batches and sum(sent) < self._window.bytes)

    def _encode_next(self) -> stream_pb2.StreamRequest:
        if self._sent == len(self._unsettled):
            self._unsettled.append(Batch(self._next, self._waiting.popleft()))
            self._next += 1
        batch = self._unsettled[self._sent]
        if self._fresh or self._tables.are_full(self._limits):
            self._tables.begin()
            self._epoch += 1
            self._fresh = False
            self._count(epochs=1)
        encoded = self._tables.encode(batch.sequence, self._epoch, batch.parts)
        batch.bytes = encoded.ByteSize()
        self._sent += 1
        return stream_pb2.StreamRequest(batch=encoded)

    def _take_welcome(self, welcome: stream_pb2.StreamWelcome) -> None:
        self._settle(welcome.settled)
        self._window = welcome.window
        self._limits = welcome.limits
        self._sent = 0
        self._wait_s = WAIT_FIRST_S
        self._fresh = welcome.epoch == 0
        if not self._fresh:
            self._tables.go_on(welcome.rows)
        self._count(opened=1)

    def _take_ack(self, ack: stream_pb2.StreamAck) -> None:
        # Before they are settled: then they are forgotten.
        for refusal in ack.refused:
            samples = sum(b.samples for b in self._unsettled if b.sequence == refusal.sequence)
            self._count(refused=samples)
            log.warning("batch %s", refusal)
        self._settle(ack.settled)
        self._window = ack.window
        if ack.HasField("epoch_end") and ack.epoch_end.epoch == self._epoch:
            log.info("epoch %d ended: %s", self._epoch, ack.epoch_end.reason)
            self._fresh = True
            self._sent = 0

    def _settle(self, settled: int) -> None:
        while self._unsettled and self._unsettled[0].sequence <= settled:
            self._count(settled=self._unsettled.popleft().samples)
            self._sent = max(self._sent - 1, 0)

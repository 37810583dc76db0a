"""Samples before they have ids: what can be sent again under any epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Frame(NamedTuple):
    """A line of a function."""

    function: str
    file: str
    line: int
    start_line: int


Stack = tuple[Frame, ...]
"""Frames, root first."""

Labels = tuple[tuple[str, str], ...]
"""Names and values."""


@dataclass(frozen=True)
class Part:
    """How often each stack was seen in a span of time."""

    start_ms: int
    duration_ms: int
    labels: Labels
    stacks: Mapping[Stack, int]

    @property
    def samples(self) -> int:
        return sum(self.stacks.values())

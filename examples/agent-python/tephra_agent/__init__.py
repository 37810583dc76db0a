"""Profiles the Python program that it lives in, and streams the samples to Tephra.

    import tephra_agent

    agent = tephra_agent.start("http://127.0.0.1:4040", service="shop", labels={"version": "1.4"})
    with agent.tag(endpoint="checkout"):
        ...

Samples go out until the main thread ends; then the rest is flushed.
"""

from __future__ import annotations

from collections.abc import Mapping

from .sampler import Agent
from .stream import Stats, Stream

__all__ = ["Agent", "Stats", "start"]


def start(
    url: str,
    service: str,
    labels: Mapping[str, str] | None = None,
    *,
    hertz: int = 100,
    interval_s: float = 5.0,
    token: str | None = None,
) -> Agent:
    """Begins to sample. After a fork, call it again in the child: a child is an instance of its own."""
    stream = Stream(url, {**(labels or {}), "service_name": service}, hertz, token)
    return Agent(stream, hertz, interval_s)

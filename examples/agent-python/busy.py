"""A busy program, which parses, sorts and hashes until Ctrl-C or SIGTERM, and is profiled while it does.

python busy.py [URL]
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import sys
import threading
from dataclasses import asdict

import tephra_agent


def parse_orders() -> list[dict[str, int]]:
    text = json.dumps([{"id": i, "price": i * 7 % 101} for i in range(2_000)])
    orders: list[dict[str, int]] = json.loads(text)
    return orders


def price_of(order: dict[str, int]) -> int:
    return order["price"]


def sort_orders() -> None:
    parse_orders().sort(key=price_of)


def hash_blocks() -> None:
    digest = hashlib.sha256()
    for i in range(500):
        digest.update(bytes([i % 256]) * 4_096)


def descend(depth: int) -> None:
    if depth > 0:
        descend(depth - 1)
    else:
        hash_blocks()


def work(stopped: threading.Event) -> None:
    while not stopped.is_set():
        sort_orders()
        descend(20)


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4040"
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    agent = tephra_agent.start(url, service="busy", labels={"region": "eu"}, interval_s=0.5)
    other = threading.Thread(target=work, args=(stopped,))
    other.start()
    with agent.tag(endpoint="checkout"):
        work(stopped)
    other.join()
    print(json.dumps(asdict(agent.stop())))


if __name__ == "__main__":
    main()

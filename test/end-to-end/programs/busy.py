"""A busy program: parses, sorts and hashes until it is ended."""

import hashlib
import json


def parse_orders():
    return json.loads(json.dumps([{"id": i, "price": i * 7 % 101} for i in range(2_000)]))


def sort_orders():
    parse_orders().sort(key=lambda order: order["price"])


def hash_blocks():
    digest = hashlib.sha256()
    for i in range(500):
        digest.update(bytes([i % 256]) * 4_096)


def descend(depth):
    if depth > 0:
        descend(depth - 1)
    else:
        hash_blocks()


while True:
    sort_orders()
    descend(20)

"""What the scripts of the clients share: named checks, and one JSON document with their outcomes.

A check that fails does not stop the others, so that two servers can be compared check by check.
"""

import json
import sys
import traceback


class Checks:
    def __init__(self):
        self.outcomes = {}

    def run(self, name, check):
        try:
            check()
            self.outcomes[name] = "ok"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            text = " ".join(str(error).split()) or type(error).__name__
            self.outcomes[name] = f"{type(error).__name__}: {text}"[:400]
            traceback.print_exc(file=sys.stderr)

    async def run_async(self, name, check):
        try:
            await check()
            self.outcomes[name] = "ok"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            text = " ".join(str(error).split()) or type(error).__name__
            self.outcomes[name] = f"{type(error).__name__}: {text}"[:400]
            traceback.print_exc(file=sys.stderr)

    def finish(self, path):
        # Not on stdout: clients print there what they like.
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.outcomes, file, indent=1)


def frame(branch, key=0, source=0, kind=0, top=0):
    """An Ethernet frame of 60 bytes that meets the table of `branch` in `entities.p4`."""
    head = bytes([top, branch, 0, 0]) + key.to_bytes(2, "big")
    return (head + source.to_bytes(6, "big") + kind.to_bytes(2, "big")).ljust(60, b"\0")


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r}, wanted {wanted!r}")

"""Bounded waits on a condition; the only place of the prover that lets time pass."""

import time
from collections.abc import Callable

STEP_S = 0.05


class NotSeen(AssertionError):
    """What was waited for or compared is not so."""


def wait_until(condition: Callable[[], bool], what: str, limit_s: float) -> None:
    """Returns once `condition()` holds; raises `NotSeen` after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            raise NotSeen(f"not within {limit_s:g} s: {what}")
        time.sleep(STEP_S)


def expect(seen: object, wanted: object, what: str) -> None:
    """Raises `NotSeen` with both values unless they are equal."""
    if seen != wanted:
        raise NotSeen(f"{what}: wanted {wanted!r}, seen {seen!r}")

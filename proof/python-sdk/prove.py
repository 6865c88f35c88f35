"""Runs every case against one engine; prints one line per case and how many passed."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import case_control
import case_full_22
import case_operations
import case_workers
import decorated
from definitions import LEASED_TYPE, UNLEASED_TYPE
from engine import Engine
from stand import Stand, open_stand

WHOLE_PROOF_LIMIT_S = 180


class Tally:
    """Prints each case as it ends and keeps count."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def case(self, name: str, prove: Callable[[], str]) -> None:
        try:
            seen = prove()
        except Exception as error:  # whatever went wrong, the other cases are tried too
            self.fail(name, f"{type(error).__name__}: {' '.join(str(error).split())}")
        else:
            self.passed += 1
            print(f"ok  {name}: {seen}", flush=True)

    def fail(self, name: str, why: str) -> None:
        self.failed += 1
        print(f"FAILED {name}: {why}", flush=True)


def prove_control(tally: Tally, stand: Stand) -> None:
    case_control.prepare(stand)
    tally.case("pause and resume", lambda: case_control.pauses_and_resumes(stand))
    tally.case("terminate", lambda: case_control.terminates(stand))
    tally.case("retry by hand", lambda: case_control.retries(stand))
    tally.case("read a task", lambda: case_control.reads_one_task(stand))
    tally.case("refusals", lambda: case_control.says_what_is_wrong(stand))


def prove_operations(tally: Tally, stand: Stand) -> None:
    case_operations.prepare(stand)
    tally.case("rerun, restart, skip", lambda: case_operations.does_again(stand))
    tally.case("bulk", lambda: case_operations.acts_in_bulk(stand))
    tally.case("logs", lambda: case_operations.keeps_logs(stand))
    tally.case("domains", lambda: case_operations.keeps_to_domains(stand))
    tally.case("execute", lambda: case_operations.waits_for_the_end(stand))
    tally.case("sub-workflow", lambda: case_operations.has_children(stand))


def prove_workers(tally: Tally, stand: Stand) -> None:
    ids = case_workers.start_all(stand)
    with stand.workers("special"):
        tally.case("failing", lambda: case_workers.fails_then_succeeds(stand, ids["sdk_fails_twice"]))
        tally.case("non-retryable", lambda: case_workers.refuses_for_good(stand, ids["sdk_refuses"]))
        tally.case("in progress", lambda: case_workers.is_called_again(stand, ids["sdk_in_steps"]))
        prove_decorated(tally, stand, ids)
        prove_control(tally, stand)
        prove_operations(tally, stand)
        tally.case("lease extended", lambda: case_workers.extends_its_lease(stand, ids[LEASED_TYPE]))
        tally.case("lease lost", lambda: case_workers.loses_its_lease(stand, ids[UNLEASED_TYPE]))
        tally.case("late result", lambda: case_workers.drops_the_late_result(stand, ids[UNLEASED_TYPE]))


def prove_decorated(tally: Tally, stand: Stand, ids: dict[str, str]) -> None:
    for made in decorated.MADE:
        tally.case(f"decorated {made.kind}", partial(case_workers.is_decorated, stand, made, ids[made.task_type]))


class TookTooLong(BaseException):
    """Not an `Exception`: it ends the whole proof, not only the case in hand."""


def give_up(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong


def stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def prove_all(tally: Tally, stand: Stand) -> None:
    tally.case("registration", lambda: case_full_22.registers(stand))
    tally.case("full-22 with two SIGKILLs", lambda: case_full_22.survives_kills(stand))
    prove_workers(tally, stand)
    tally.case("idempotency", lambda: case_operations.starts_once(stand))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--engine", type=Path, required=True, help="the shakedown binary")
    options.add_argument("--workflows", type=Path, required=True, help="the folder of the definitions")
    options.add_argument("--room", type=Path, required=True, help="a folder for the store, the journal and the logs")
    given = options.parse_args()
    logging.basicConfig(filename=given.room / "prove.log")
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, stop)
    signal.alarm(WHOLE_PROOF_LIMIT_S)
    began = time.monotonic()
    engine = Engine(given.engine, given.room)
    engine.start()
    stand, tally = open_stand(engine, given.workflows, given.room), Tally()
    try:
        prove_all(tally, stand)
    except TookTooLong:
        tally.fail("whole proof", f"it took longer than {WHOLE_PROOF_LIMIT_S} s")
    finally:
        engine.kill()
    print(f"python-sdk: {time.monotonic() - began:.1f} s", file=sys.stderr)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())

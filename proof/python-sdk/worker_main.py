"""One set of SDK workers as a program: one process per worker, the SDK's default."""

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from conductor.client.automator.task_handler import TaskHandler
from conductor.client.configuration.configuration import Configuration
from conductor.client.worker.worker import Worker

from definitions import FULL_22_SLOTS, LEASED_TYPE, LONG_SLOTS, LONG_WORK_S, UNLEASED_TYPE, Step, read_steps
from journal import Journal
from work import FailsTwice, InSteps, LongAtFirst, Refuses, SdkEvents, Succeeds

SECONDS_PER_WORKFLOW_SECOND = 0.001


def full_22(journal: Journal, steps: list[Step]) -> list[Worker]:
    return [
        Worker(step.task, Succeeds(journal, step.work_s * SECONDS_PER_WORKFLOW_SECOND), thread_count=FULL_22_SLOTS)
        for step in steps
    ]


def special(journal: Journal) -> list[Worker]:
    return [
        Worker("sdk_fails_twice", FailsTwice(journal, 0.05)),
        Worker("sdk_refuses", Refuses(journal, 0.05)),
        Worker("sdk_in_steps", InSteps(journal, 0.05)),
        Worker(LEASED_TYPE, LongAtFirst(journal, LONG_WORK_S), thread_count=LONG_SLOTS, lease_extend_enabled=True),
        Worker(UNLEASED_TYPE, LongAtFirst(journal, LONG_WORK_S), thread_count=LONG_SLOTS),
    ]


def stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sdk-url", required=True)
    options.add_argument("--journal", type=Path, required=True)
    options.add_argument("--workflows", type=Path, required=True)
    options.add_argument("--set", choices=["full-22", "special"], required=True)
    given = options.parse_args()
    journal = Journal(given.journal)
    is_full_22 = given.set == "full-22"
    signal.signal(signal.SIGTERM, stop)
    with TaskHandler(
        workers=full_22(journal, read_steps(given.workflows)) if is_full_22 else special(journal),
        configuration=Configuration(server_api_url=given.sdk_url, log_level=logging.INFO),
        scan_for_annotated_workers=not is_full_22,
        import_modules=None if is_full_22 else ["decorated"],
        event_listeners=[SdkEvents(journal)],
    ) as handler:
        handler.start_processes()
        handler.join_processes()


if __name__ == "__main__":
    main()

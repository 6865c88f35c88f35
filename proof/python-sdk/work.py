"""What the workers do: note the start, take their time, note the end with a nonce, answer."""

import time
from dataclasses import dataclass, replace
from uuid import uuid4

from conductor.client.context.task_context import TaskContext, TaskInProgress, get_task_context
from conductor.client.event.task_runner_events import PollFailure, PollStarted, TaskUpdateFailure
from conductor.client.worker.exception import NonRetryableException

from journal import Entry, Journal

Answer = dict[str, object]


def _entry(event: str, context: TaskContext) -> Entry:
    return Entry(
        event=event,
        task_type=context.task.task_def_name,
        workflow_id=context.get_workflow_instance_id(),
        task_id=context.get_task_id(),
        retry_count=context.get_retry_count(),
        poll_count=context.get_poll_count(),
    )


@dataclass
class Attempt:
    """One attempt takes `work_s` seconds and answers with a nonce of its own."""

    journal: Journal
    work_s: float

    def _begin(self) -> TaskContext:
        context = get_task_context()
        self.journal.append(_entry("started", context))
        return context

    def _done(self, context: TaskContext) -> Answer:
        time.sleep(self.work_s)  # the work itself
        nonce = str(uuid4())
        self.journal.append(replace(_entry("finished", context), nonce=nonce))
        return {"nonce": nonce}


@dataclass
class Succeeds(Attempt):
    """Answers with the nonces it was given, too."""

    def __call__(self, project: str, after: dict) -> Answer:
        return {**self._done(self._begin()), "after": after}


@dataclass
class FailsTwice(Attempt):
    """Raises on the first two attempts."""

    def __call__(self, project: str) -> Answer:
        context = self._begin()
        if context.get_retry_count() < 2:
            self.journal.append(_entry("raised", context))
            raise RuntimeError(f"attempt {context.get_retry_count()} fails on purpose")
        return self._done(context)


@dataclass
class Refuses(Attempt):
    """Raises what must not be retried."""

    def __call__(self, project: str) -> Answer:
        self.journal.append(_entry("raised", self._begin()))
        raise NonRetryableException("the input can never be right")


@dataclass
class InSteps(Attempt):
    """Says twice that it is in progress and wants to be called again after a second."""

    def __call__(self, project: str) -> Answer | TaskInProgress:
        context = self._begin()
        if context.get_poll_count() < 3:
            self.journal.append(_entry("in_progress", context))
            return TaskInProgress(callback_after_seconds=1, output={"step": context.get_poll_count()})
        return self._done(context)


@dataclass
class LongAtFirst(Attempt):
    """The first attempt outlives its lease; a later one is short."""

    def __call__(self, project: str) -> Answer:
        context = self._begin()
        if context.get_retry_count() > 0:
            return replace(self, work_s=0.1)._done(context)
        return self._done(context)


@dataclass
class SdkEvents:
    """Listens to the SDK's own events: failed polls, results given up, and slots coming free."""

    journal: Journal
    free_slots: int = 0

    def on_poll_started(self, event: PollStarted) -> None:
        if event.poll_count > self.free_slots:
            self.journal.append(Entry(event="slots_free", task_type=event.task_type, free_slots=event.poll_count))
        self.free_slots = event.poll_count

    def on_poll_failure(self, event: PollFailure) -> None:
        self.journal.append(Entry(event="poll_failed", task_type=event.task_type))

    def on_task_update_failure(self, event: TaskUpdateFailure) -> None:
        self.journal.append(Entry(event="result_lost", task_type=event.task_type, task_id=event.task_id))

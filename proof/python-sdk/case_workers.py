"""Workers that fail, refuse, ask to be called again, and outlive their lease."""

from itertools import pairwise

from conductor.client.http.models.task import Task
from conductor.client.http.models.workflow import Workflow

import decorated
from definitions import LEASE_S, LEASED_TYPE, LONG_SLOTS, LONG_WORK_S, UNLEASED_TYPE, chain, special_task_defs
from stand import Stand, records
from waiting import NotSeen, expect, wait_until

LIMIT_S = 40.0
WORKED_TYPES = ["sdk_fails_twice", "sdk_refuses", "sdk_in_steps", LEASED_TYPE, UNLEASED_TYPE]


def start_all(stand: Stand) -> dict[str, str]:
    """Registers and starts one workflow per type; returns their ids by type."""
    for definition in special_task_defs():
        stand.metadata.register_task_def(definition)
    types = [*WORKED_TYPES, *(made.task_type for made in decorated.MADE)]
    for name in types:
        stand.metadata.register_workflow_def(chain(name, name), overwrite=True)
    return {name: stand.start(name, "shakedown") for name in types}


def statuses(tasks: list[Task]) -> list[str]:
    return [task.status for task in tasks]


def only_record(workflow: Workflow) -> Task:
    expect(len(records(workflow)), 1, f"number of records, {statuses(records(workflow))}")
    return records(workflow)[0]


def fails_then_succeeds(stand: Stand, workflow_id: str) -> str:
    workflow = stand.finish(workflow_id, LIMIT_S)
    attempts = records(workflow)
    expect(statuses(attempts), ["FAILED", "FAILED", "COMPLETED"], "records")
    expect([task.retry_count for task in attempts], [0, 1, 2], "retryCount")
    expect(attempts[0].reason_for_incompletion, "attempt 0 fails on purpose", "reason")
    check_finished(stand, workflow, attempts[2])
    waits = [later.start_time - earlier.end_time for earlier, later in pairwise(attempts)]
    if min(waits) < 1000:
        raise NotSeen(f"a retry delay of 1 s was not kept: {waits} ms")
    return f"FAILED, FAILED, COMPLETED with retryCount 0, 1, 2; retried after {waits[0]} and {waits[1]} ms"


def refuses_for_good(stand: Stand, workflow_id: str) -> str:
    workflow = stand.finish(workflow_id, LIMIT_S)
    expect(workflow.status, "FAILED", "workflow")
    expect(statuses(records(workflow)), ["FAILED_WITH_TERMINAL_ERROR"], "records")
    expect(records(workflow)[0].reason_for_incompletion, "the input can never be right", "reason")
    if "the input can never be right" not in workflow.reason_for_incompletion:
        raise NotSeen(f"the workflow's reason does not tell the task's: {workflow.reason_for_incompletion}")
    return "FAILED_WITH_TERMINAL_ERROR at once with 5 retries left, and the reason arrived"


def is_called_again(stand: Stand, workflow_id: str) -> str:
    workflow = stand.finish(workflow_id, LIMIT_S)
    task = only_record(workflow)
    expect(task.poll_count, 3, "pollCount")
    check_finished(stand, workflow, task)
    expect([entry.poll_count for entry in stand.journal.of(workflow_id, "in_progress")], [1, 2], "calls in progress")
    took_ms = task.end_time - task.start_time
    if took_ms < 2000:
        raise NotSeen(f"two callbacks after 1 s took {took_ms} ms")
    return f"one record, pollCount 3, COMPLETED after {took_ms} ms and two callbacks of 1 s"


def extends_its_lease(stand: Stand, workflow_id: str) -> str:
    workflow = stand.finish(workflow_id, LIMIT_S)
    task = only_record(workflow)
    expect(task.poll_count, 1, "pollCount")
    check_finished(stand, workflow, task)
    took_ms = task.end_time - task.start_time
    if took_ms < LEASE_S * 1000:
        raise NotSeen(f"the work took {took_ms} ms, no longer than its lease")
    return f"one record, pollCount 1, COMPLETED after {took_ms} ms on a lease of {LEASE_S} s"


def loses_its_lease(stand: Stand, workflow_id: str) -> str:
    """The control: without heartbeats the same definition times out, so the case above can fail."""
    workflow = stand.finish(workflow_id, LIMIT_S)
    attempts = records(workflow)
    expect(statuses(attempts), ["TIMED_OUT", "COMPLETED"], "records")
    check_finished(stand, workflow, attempts[1])
    held_ms = attempts[0].end_time - attempts[0].start_time
    if not LEASE_S * 1000 <= held_ms < LONG_WORK_S * 1000:
        raise NotSeen(f"the lease of {LEASE_S} s ended after {held_ms} ms")
    return f"TIMED_OUT after {held_ms} ms, then COMPLETED with retryCount {attempts[1].retry_count}"


def check_finished(stand: Stand, workflow: Workflow, task: Task) -> None:
    expect(workflow.status, "COMPLETED", "workflow")
    expect(task.status, "COMPLETED", "task")
    nonces = [
        entry.nonce for entry in stand.journal.of(workflow.workflow_id, "finished") if entry.task_id == task.task_id
    ]
    expect([task.output_data["nonce"]], nonces, "nonce of the record and of the journal")


def drops_the_late_result(stand: Stand, workflow_id: str) -> str:
    """The worker whose lease was lost sends its result later; the record must not take it."""
    first = records(stand.read(workflow_id))[0]
    wait_until(lambda: has_answered(stand, first), "the worker whose lease was lost is free again", LIMIT_S)
    expect(stand.log_lines("Failed to update task", first.task_id), 0, "complaints of the SDK about the late result")
    attempts = records(stand.read(workflow_id))
    expect(statuses(attempts), ["TIMED_OUT", "COMPLETED"], "records after the late result")
    expect(attempts[0].output_data, {}, "output of the lost attempt")
    return "answered without an error and dropped: the records stay TIMED_OUT and COMPLETED"


def has_answered(stand: Stand, task: Task) -> bool:
    """The worker finished this task, and its process has had all slots free since."""
    ends = [
        entry.at for entry in stand.journal.of(task.workflow_instance_id, "finished") if entry.task_id == task.task_id
    ]
    return any(
        entry.event == "slots_free" and entry.free_slots == LONG_SLOTS and entry.task_type == UNLEASED_TYPE
        for entry in stand.journal.entries()
        if ends and entry.at > ends[0]
    )


def is_decorated(stand: Stand, made: decorated.Made, workflow_id: str) -> str:
    workflow = stand.finish(workflow_id, LIMIT_S)
    task = only_record(workflow)
    expect(workflow.status, "COMPLETED", "workflow")
    expect(task.output_data, {"project": made.output}, "output")
    expect(stand.metadata.get_task_def(made.task_type).retry_count, made.retry_count, "retryCount of the definition")
    return f"the decorator registered its definition with retryCount {made.retry_count}, COMPLETED"

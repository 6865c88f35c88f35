"""Workers that fail, refuse, ask to be called again, and outlive their lease."""

from conductor.client.http.models.task import Task
from conductor.client.http.models.workflow import Workflow

import decorated
from bench import Bench, records
from definitions import LEASE_S, LEASED_TYPE, LONG_WORK_S, UNLEASED_TYPE, chain, special_task_defs
from waiting import NotSeen, expect

LIMIT_S = 40.0
WORKED_TYPES = ["sdk_fails_twice", "sdk_refuses", "sdk_in_steps", LEASED_TYPE, UNLEASED_TYPE]


def start_all(bench: Bench) -> dict[str, str]:
    """Registers and starts one workflow per type; returns their ids by type."""
    for definition in special_task_defs():
        bench.metadata.register_task_def(definition)
    types = [*WORKED_TYPES, decorated.SYNC_TYPE, decorated.ASYNC_TYPE]
    for name in types:
        bench.metadata.register_workflow_def(chain(name, name), overwrite=True)
    return {name: bench.start(name, "shakedown") for name in types}


def statuses(tasks: list[Task]) -> list[str]:
    return [task.status for task in tasks]


def fails_then_succeeds(bench: Bench, workflow_id: str) -> str:
    workflow = bench.finish(workflow_id, LIMIT_S)
    attempts = records(workflow)
    expect(statuses(attempts), ["FAILED", "FAILED", "COMPLETED"], "records")
    expect([task.retry_count for task in attempts], [0, 1, 2], "retryCount")
    expect(attempts[0].reason_for_incompletion, "attempt 0 fails on purpose", "reason")
    check_finished(bench, workflow, attempts[2])
    waits = [later.start_time - earlier.end_time for earlier, later in zip(attempts, attempts[1:])]
    if min(waits) < 1000:
        raise NotSeen(f"a retry delay of 1 s was not kept: {waits} ms")
    return f"FAILED, FAILED, COMPLETED with retryCount 0, 1, 2; retried after {waits[0]} and {waits[1]} ms"


def refuses_for_good(bench: Bench, workflow_id: str) -> str:
    workflow = bench.finish(workflow_id, LIMIT_S)
    expect(workflow.status, "FAILED", "workflow")
    expect(statuses(records(workflow)), ["FAILED_WITH_TERMINAL_ERROR"], "records")
    expect(records(workflow)[0].reason_for_incompletion, "the input can never be right", "reason")
    if "the input can never be right" not in workflow.reason_for_incompletion:
        raise NotSeen(f"the workflow's reason does not tell the task's: {workflow.reason_for_incompletion}")
    return "FAILED_WITH_TERMINAL_ERROR at once with 5 retries left, and the reason arrived"


def is_called_again(bench: Bench, workflow_id: str) -> str:
    workflow = bench.finish(workflow_id, LIMIT_S)
    (task,) = records(workflow)
    expect(task.poll_count, 3, "pollCount")
    check_finished(bench, workflow, task)
    expect([entry.poll_count for entry in bench.journal.of(workflow_id, "in_progress")], [1, 2], "calls in progress")
    took_ms = task.end_time - task.start_time
    if took_ms < 2000:
        raise NotSeen(f"two callbacks after 1 s took {took_ms} ms")
    return f"one record, pollCount 3, COMPLETED after {took_ms} ms and two callbacks of 1 s"


def extends_its_lease(bench: Bench, workflow_id: str) -> str:
    workflow = bench.finish(workflow_id, LIMIT_S)
    (task,) = records(workflow)
    expect(task.poll_count, 1, "pollCount")
    check_finished(bench, workflow, task)
    took_ms = task.end_time - task.start_time
    if took_ms < LEASE_S * 1000:
        raise NotSeen(f"the work took {took_ms} ms, no longer than its lease")
    return f"one record, pollCount 1, COMPLETED after {took_ms} ms on a lease of {LEASE_S} s"


def loses_its_lease(bench: Bench, workflow_id: str) -> str:
    """The control: without heartbeats the same definition times out, so the case above can fail."""
    workflow = bench.finish(workflow_id, LIMIT_S)
    attempts = records(workflow)
    expect(statuses(attempts), ["TIMED_OUT", "COMPLETED"], "records")
    check_finished(bench, workflow, attempts[1])
    held_ms = attempts[0].end_time - attempts[0].start_time
    if not LEASE_S * 1000 <= held_ms < LONG_WORK_S * 1000:
        raise NotSeen(f"the lease of {LEASE_S} s ended after {held_ms} ms")
    return f"TIMED_OUT after {held_ms} ms, then COMPLETED with retryCount {attempts[1].retry_count}"


def check_finished(bench: Bench, workflow: Workflow, task: Task) -> None:
    expect(workflow.status, "COMPLETED", "workflow")
    expect(task.status, "COMPLETED", "task")
    nonces = [entry.nonce for entry in bench.journal.of(workflow.workflow_id, "finished") if entry.task_id == task.task_id]
    expect([task.output_data["nonce"]], nonces, "nonce of the record and of the journal")


def drops_the_late_result(bench: Bench, workflow_id: str) -> str:
    """The worker whose lease was lost sends its result later; the record must not take it."""
    late = bench.read(workflow_id)
    first = records(late)[0]
    expect(bench.log_lines(first.task_id + "."), 0, "complaints of the SDK about the late result")
    expect(statuses(records(late)), ["TIMED_OUT", "COMPLETED"], "records after the late result")
    expect(first.output_data, {}, "output of the lost attempt")
    return "the late result was answered and dropped"


def is_decorated(bench: Bench, name: str, workflow_id: str, output: str) -> str:
    workflow = bench.finish(workflow_id, LIMIT_S)
    (task,) = records(workflow)
    expect(workflow.status, "COMPLETED", "workflow")
    expect(task.output_data, {"project": output}, "output")
    return f"definition registered by the decorator (retryCount {bench.metadata.get_task_def(name).retry_count}), COMPLETED"

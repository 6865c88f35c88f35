"""Control of workflows through the SDK's clients; the prover itself is the worker."""

from collections.abc import Callable

from conductor.client.http.models.task import Task
from conductor.client.http.models.task_result import TaskResult
from conductor.client.http.models.workflow import Workflow
from conductor.client.http.rest import ApiException

from definitions import MANUAL_TYPE, chain
from stand import Stand, records
from waiting import NotSeen, expect

WORKFLOW = "sdk_manual_chain"


def prepare(stand: Stand) -> None:
    stand.metadata.register_workflow_def(chain(WORKFLOW, MANUAL_TYPE, length=2), overwrite=True)


def poll(stand: Stand) -> Task:
    tasks = stand.task.batch_poll_tasks(MANUAL_TYPE, worker_id="prover", count=1, timeout_in_millisecond=1000)
    expect(len(tasks), 1, "tasks in a poll")
    return tasks[0]


def answer(stand: Stand, task: Task, status: str, reason: str | None = None) -> None:
    result = TaskResult(
        task_id=task.task_id, workflow_instance_id=task.workflow_instance_id, worker_id="prover", status=status
    )
    result.output_data = {"by": "prover"}
    result.reason_for_incompletion = reason
    expect(stand.task.update_task(result), task.task_id, "answer to the update")


def status(stand: Stand, workflow_id: str) -> str:
    return stand.workflow.get_workflow_status(workflow_id).status


def pauses_and_resumes(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "pause")
    expect(stand.task.get_queue_size_for_task(MANUAL_TYPE), 1, "queue size after the start")
    stand.workflow.pause_workflow(workflow_id)
    expect(status(stand, workflow_id), "PAUSED", "status")
    answer(stand, poll(stand), "COMPLETED")
    expect([task.status for task in stand.read(workflow_id).tasks], ["COMPLETED"], "tasks while paused")
    expect(stand.task.get_queue_size_for_task(MANUAL_TYPE), 0, "queue size while paused")
    stand.workflow.resume_workflow(workflow_id)
    answer(stand, poll(stand), "COMPLETED")
    expect(status(stand, workflow_id), "COMPLETED", "status")
    return "nothing new was scheduled while PAUSED, an open task was still accepted, resumed to COMPLETED"


def terminates(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "terminate")
    stand.workflow.terminate_workflow(workflow_id, reason="enough seen")
    workflow = stand.read(workflow_id)
    expect(workflow.status, "TERMINATED", "status")
    expect(workflow.reason_for_incompletion, "enough seen", "reason")
    expect([task.status for task in workflow.tasks], ["CANCELED"], "tasks")
    expect(stand.task.get_queue_size_for_task(MANUAL_TYPE), 0, "queue size")
    return "TERMINATED with its reason, the open task CANCELED, the queue empty"


def retries(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "retry")
    answer(stand, poll(stand), "FAILED", "refused by the prover")
    expect(status(stand, workflow_id), "FAILED", "status with no retry left")
    stand.workflow.retry_workflow(workflow_id)
    answer(stand, poll(stand), "COMPLETED")
    answer(stand, poll(stand), "COMPLETED")
    return check_retried(stand.read(workflow_id))


def check_retried(workflow: Workflow) -> str:
    expect(workflow.status, "COMPLETED", "status")
    expect(
        [(task.status, task.retry_count) for task in records(workflow)], [("FAILED", 0), ("COMPLETED", 1)], "records"
    )
    expect(records(workflow)[1].retried_task_id, records(workflow)[0].task_id, "retriedTaskId")
    return "FAILED workflow retried by hand: a second record with retryCount 1, COMPLETED"


def reads_one_task(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "read")
    polled = poll(stand)
    task = stand.task.get_task(polled.task_id)
    expect((task.status, task.poll_count, task.worker_id), ("IN_PROGRESS", 1, "prover"), "task")
    expect(task.input_data, {"project": "read"}, "input")
    stand.workflow.terminate_workflow(workflow_id, reason="read")
    answer(stand, polled, "COMPLETED")
    expect(stand.task.get_task(polled.task_id).status, "CANCELED", "task after the late update")
    return "IN_PROGRESS with its input, poll and worker; an update after the end is answered and dropped"


def says_what_is_wrong(stand: Stand) -> str:
    ended = stand.start(WORKFLOW, "ended")
    stand.workflow.terminate_workflow(ended, reason="ended")
    seen = [
        refusal(lambda: stand.read("00000000-0000-0000-0000-000000000000")),
        refusal(lambda: stand.start("no_such_workflow", "x")),
        refusal(lambda: stand.metadata.get_task_def("no_such_task")),
        refusal(lambda: stand.workflow.pause_workflow(ended)),
        refusal(lambda: stand.metadata.register_workflow_def(chain(WORKFLOW, MANUAL_TYPE), overwrite=False)),
    ]
    expect(seen, [404, 404, 404, 409, 409], "statuses of the refusals")
    return "unknown workflow, definition and task 404; pause of an ended one and a second registration 409"


def refusal(call: Callable[[], object]) -> int:
    """The HTTP status that the SDK raised, with a message for the user."""
    try:
        call()
    except ApiException as error:
        if not error.message:
            raise NotSeen(f"status {error.status} came without a message") from error
        return error.status
    return 200

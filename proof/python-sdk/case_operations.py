"""The SDK's other calls: doing again, in bulk, logs, domains, idempotency, waiting for the end, sub-workflows."""

from conductor.client.configuration.configuration import Configuration
from conductor.client.http.api.workflow_bulk_resource_api import WorkflowBulkResourceApi
from conductor.client.http.api_client import ApiClient
from conductor.client.http.models.rerun_workflow_request import RerunWorkflowRequest
from conductor.client.http.models.skip_task_request import SkipTaskRequest
from conductor.client.http.models.start_workflow_request import IdempotencyStrategy, StartWorkflowRequest
from conductor.client.http.models.sub_workflow_params import SubWorkflowParams
from conductor.client.http.models.workflow_def import WorkflowDef
from conductor.client.http.models.workflow_task import WorkflowTask

from case_control import answer, poll, refusal, status
from definitions import MANUAL_TYPE, chain
from stand import Stand
from waiting import expect

WORKFLOW = "sdk_operations"
PARENT = "sdk_parent"
WAITING = "sdk_waits"


def prepare(stand: Stand) -> None:
    stand.metadata.register_workflow_def(chain(WORKFLOW, MANUAL_TYPE, length=2), overwrite=True)
    child = SubWorkflowParams(name=WORKFLOW, version=1)
    inputs = {"project": "${workflow.input.project}"}
    done_by_child = WorkflowTask(
        name="child", task_reference_name="child", type="SUB_WORKFLOW", sub_workflow_param=child, input_parameters=inputs
    )
    stand.metadata.register_workflow_def(of_one(PARENT, done_by_child), overwrite=True)
    wait = WorkflowTask(
        name="wait", task_reference_name="wait", type="WAIT", input_parameters={"duration": "1 seconds"}
    )
    stand.metadata.register_workflow_def(of_one(WAITING, wait), overwrite=True)


def of_one(name: str, task: WorkflowTask) -> WorkflowDef:
    definition = chain(name, MANUAL_TYPE)
    definition.tasks = [task]
    return definition


def finish_by_hand(stand: Stand, workflow_id: str, tasks: int) -> None:
    for _ in range(tasks):
        answer(stand, poll(stand), "COMPLETED")
    expect(status(stand, workflow_id), "COMPLETED", "status")


def does_again(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "again")
    finish_by_hand(stand, workflow_id, tasks=2)
    last = stand.read(workflow_id).tasks[1]
    request = RerunWorkflowRequest(re_run_from_task_id=last.task_id, task_input={"project": "rerun"})
    expect(stand.workflow.rerun_workflow(workflow_id, request), workflow_id, "answer to the rerun")
    task = poll(stand)
    expect((task.reference_task_name, task.input_data), ("step_2", {"project": "rerun"}), "the task that is rerun")
    answer(stand, task, "COMPLETED")
    stand.workflow.restart_workflow(workflow_id, use_latest_def=True)
    expect([task.status for task in stand.read(workflow_id).tasks], ["SCHEDULED"], "tasks after the restart")
    stand.workflow.skip_task_from_workflow(workflow_id, "step_2", SkipTaskRequest())
    finish_by_hand(stand, workflow_id, tasks=1)
    statuses = {task.reference_task_name: task.status for task in stand.read(workflow_id).tasks}
    expect(statuses, {"step_1": "COMPLETED", "step_2": "SKIPPED"}, "tasks after the skip")
    return "rerun from a task with another input, restarted under the newest definition, one task skipped"


def acts_in_bulk(stand: Stand) -> str:
    bulk = WorkflowBulkResourceApi(ApiClient(Configuration(server_api_url=stand.engine.sdk_url)))
    ids = [stand.start(WORKFLOW, f"bulk-{number}") for number in range(3)]
    unknown = "00000000-0000-0000-0000-000000000000"
    paused = bulk.pause_workflow(ids + [unknown])
    expect(paused.bulk_successful_results, ids, "paused")
    expect(list(paused.bulk_error_results), [unknown], "refused")
    expect({status(stand, one) for one in ids}, {"PAUSED"}, "statuses")
    bulk.resume_workflow(ids)
    bulk.terminate(ids, reason="enough of them")
    expect({status(stand, one) for one in ids}, {"TERMINATED"}, "statuses")
    expect(bulk.retry(ids).bulk_successful_results, ids, "retried")
    bulk.terminate(ids)
    expect(bulk.restart(ids).bulk_successful_results, ids, "restarted")
    expect({status(stand, one) for one in ids}, {"RUNNING"}, "statuses")
    bulk.terminate(ids)
    for one in ids:
        stand.workflow.delete_workflow(one)
    expect([refusal(lambda one=one: stand.read(one)) for one in ids], [404] * 3, "reads after the removal")
    return "3 paused, resumed, terminated, retried, restarted, removed; an unknown id is told of on its own"


def keeps_logs(stand: Stand) -> str:
    workflow_id = stand.start(WORKFLOW, "logs")
    task = poll(stand)
    stand.task.add_task_log(task.task_id, "first line")
    stand.task.add_task_log(task.task_id, "second line")
    answer(stand, task, "COMPLETED")
    expect([line.log for line in stand.task.get_task_logs(task.task_id)], ["first line", "second line"], "log")
    polled = [data for data in stand.task.get_task_poll_data(MANUAL_TYPE) if data.domain is None]
    expect([data.worker_id for data in polled], ["prover"], "poll data")
    done = stand.task.update_task_sync(workflow_id, "step_2", "COMPLETED", {"by": "reference"})
    expect((done.status, done.output), ("COMPLETED", {"by": "reference"}), "workflow after the update by reference")
    return "two lines read back in order, poll data names the worker, update by reference answers the workflow"


def keeps_to_domains(stand: Stand) -> str:
    request = StartWorkflowRequest(name=WORKFLOW, version=1, input={}, task_to_domain={"*": "sdk_domain"})
    workflow_id = stand.workflow.start_workflow(request)
    elsewhere = stand.task.batch_poll_tasks(MANUAL_TYPE, worker_id="prover", count=1, timeout_in_millisecond=100)
    expect(elsewhere, [], "poll without the domain")
    for _ in range(2):
        task = stand.task.poll_task(MANUAL_TYPE, worker_id="prover", domain="sdk_domain")
        expect(task.domain, "sdk_domain", "domain of the task")
        answer(stand, task, "COMPLETED")
    expect(status(stand, workflow_id), "COMPLETED", "status")
    return "tasks of a domain went to its polls only"


def starts_once(stand: Stand) -> str:
    def request(strategy: IdempotencyStrategy) -> StartWorkflowRequest:
        return StartWorkflowRequest(
            name=WORKFLOW, version=1, input={}, idempotency_key="sdk-key", idempotency_strategy=strategy
        )

    first = stand.workflow.start_workflow(request(IdempotencyStrategy.RETURN_EXISTING))
    stand.engine.kill()
    stand.engine.start()
    again = stand.workflow.start_workflow(request(IdempotencyStrategy.RETURN_EXISTING))
    expect(again, first, "id of the second start")
    expect(refusal(lambda: stand.workflow.start_workflow(request(IdempotencyStrategy.FAIL))), 409, "third start")
    stand.workflow.terminate_workflow(first, reason="seen")
    stand.engine.kill()
    stand.engine.start()
    last = stand.workflow.start_workflow(request(IdempotencyStrategy.RETURN_EXISTING))
    expect(last, first, "id of a start after the end")
    return "a second start with the key answered the first one's id over a SIGKILL, also after its end; FAIL was refused with 409"


def waits_for_the_end(stand: Stand) -> str:
    run = stand.workflow.execute_workflow(
        StartWorkflowRequest(name=WAITING, version=1, input={}), request_id="sdk-request", wait_for_seconds=20
    )
    expect((run.status, run.request_id), ("COMPLETED", "sdk-request"), "run")
    expect([task.status for task in run.tasks], ["COMPLETED"], "tasks of the run")
    return "executed a workflow with a WAIT of 1 s: the answer came with its end"


def has_children(stand: Stand) -> str:
    workflow_id = stand.start(PARENT, "family")
    child = stand.read(workflow_id).tasks[0].sub_workflow_id
    expect(stand.read(child).parent_workflow_id, workflow_id, "parent of the child")
    answer(stand, poll(stand), "FAILED", "refused by the prover")
    expect([status(stand, one) for one in (child, workflow_id)], ["FAILED", "FAILED"], "statuses")
    stand.workflow.retry_workflow(workflow_id, resume_subworkflow_tasks=True)
    expect([status(stand, one) for one in (child, workflow_id)], ["RUNNING", "RUNNING"], "statuses after the retry")
    answer(stand, poll(stand), "COMPLETED")
    finish_by_hand(stand, workflow_id, tasks=1)
    return "a child's failure failed its parent; a retry took up the same child, whose end completed the parent"

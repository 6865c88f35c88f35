"""full-22 with SDK workers for all 22 types, and two SIGKILLs of the engine in the middle.

The first outage is over before the SDK complains; the second lasts until a worker could not poll,
so the SDK's back-off and its repeated updates are part of what is shown."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from conductor.client.http.models.task import Task
from conductor.client.http.models.workflow import Workflow

from definitions import Step, read_full_22, read_steps, read_task_defs
from journal import Entry
from stand import Stand
from waiting import NotSeen, expect, wait_until

WORKFLOWS = 5
FINISHED_BEFORE_THE_KILLS = (25, 60)
WORK_LIMIT_S = 60.0
NOTICE_LIMIT_S = 15.0
FINISH_LIMIT_S = 90.0


@dataclass(frozen=True)
class Kill:
    """What the engine had answered when it was killed, what the workers had in hand, how long it was away."""

    before: list[Workflow]
    in_hand: int
    outage_s: float

    def __str__(self) -> str:
        done = sum(task.status == "COMPLETED" for workflow in self.before for task in worked(workflow))
        return f"{done} tasks completed, {self.in_hand} tasks in hand, away {self.outage_s:.2f} s"


def registers(stand: Stand) -> str:
    for definition in read_task_defs(stand.workflows):
        stand.metadata.register_task_def(definition)
    stand.metadata.register_workflow_def(read_full_22(stand.workflows), overwrite=True)
    return check_registered(stand)


def check_registered(stand: Stand) -> str:
    wanted = read_full_22(stand.workflows)
    stored = stand.metadata.get_workflow_def("full_22_optimized", version=1)
    expect([task["taskReferenceName"] for task in plain(stored.tasks)], refs_of(wanted.tasks), "top-level references")
    types = {definition.name: definition.retry_count for definition in stand.metadata.get_all_task_defs()}
    expect({step.task for step in read_steps(stand.workflows)} - types.keys(), set(), "task types not stored")
    return f"22 task definitions and full_22_optimized with {len(stored.tasks)} top-level tasks read back"


def plain(tasks: list) -> list[dict]:
    return [task if isinstance(task, dict) else {"taskReferenceName": task.task_reference_name} for task in tasks]


def refs_of(tasks: list) -> list[str]:
    return [task["taskReferenceName"] for task in plain(tasks)]


def survives_kills(stand: Stand) -> str:
    steps = read_steps(stand.workflows)
    with stand.workers("full-22"):
        ids = [stand.start("full_22_optimized", f"sdk-{index}") for index in range(WORKFLOWS)]
        kills = [kill_short(stand, ids), kill_until_noticed(stand, ids)]
        after = [stand.finish(workflow_id, FINISH_LIMIT_S) for workflow_id in ids]
    for kill in kills:
        check_nothing_changed(kill.before, after)
    for workflow in after:
        check_records(workflow, steps)
        check_dataflow(workflow, steps)
    late, unknown = check_journal(stand, after)
    check_registered(stand)
    return tell(stand, kills, late, unknown)


def kill_short(stand: Stand, ids: list[str]) -> Kill:
    return kill_when(stand, ids, FINISHED_BEFORE_THE_KILLS[0], lambda: None)


def kill_until_noticed(stand: Stand, ids: list[str]) -> Kill:
    failed_before = failed_polls(stand)
    return kill_when(
        stand,
        ids,
        FINISHED_BEFORE_THE_KILLS[1],
        lambda: wait_until(lambda: failed_polls(stand) > failed_before, "a worker could not poll", NOTICE_LIMIT_S),
    )


def kill_when(stand: Stand, ids: list[str], finished: int, stay_away: Callable[[], None]) -> Kill:
    wait_until(
        lambda: len(of_full_22(stand, ids, "finished")) >= finished,
        f"the workers finished {finished} tasks",
        WORK_LIMIT_S,
    )
    before = [stand.read(workflow_id) for workflow_id in ids]
    expect({workflow.status for workflow in before}, {"RUNNING"}, "statuses before the kill")
    began = time.monotonic()
    stand.engine.kill()
    in_hand = tasks_in_hand(stand, ids)
    stay_away()
    stand.engine.start()
    outage_s = time.monotonic() - began
    check_nothing_changed(before, [stand.read(workflow_id) for workflow_id in ids])
    return Kill(before, in_hand, outage_s)


def worked(workflow: Workflow) -> list[Task]:
    """The records that workers had to do with."""
    return [task for task in workflow.tasks if task.task_type not in ("FORK", "JOIN")]


def failed_polls(stand: Stand) -> int:
    return sum(entry.event == "poll_failed" for entry in stand.journal.entries())


def of_full_22(stand: Stand, ids: list[str], event: str) -> list[Entry]:
    return [entry for entry in stand.journal.entries() if entry.event == event and entry.workflow_id in ids]


def tasks_in_hand(stand: Stand, ids: list[str]) -> int:
    started = {entry.task_id for entry in of_full_22(stand, ids, "started")}
    return len(started - {entry.task_id for entry in of_full_22(stand, ids, "finished")})


def check_nothing_changed(before: list[Workflow], after: list[Workflow]) -> None:
    """What was answered as completed before the kill is the same after it."""
    final = {task.task_id: told(task) for workflow in after for task in workflow.tasks}
    for task in (task for workflow in before for task in workflow.tasks):
        if task.status == "COMPLETED":
            expect(final.get(task.task_id), told(task), f"{task.reference_task_name} as answered before the kill")


def told(task: Task) -> tuple[str, object, int]:
    return task.status, task.output_data, task.end_time


def check_records(workflow: Workflow, steps: list[Step]) -> None:
    """Each of the 22 has exactly one COMPLETED record, and any other record is an expired lease."""
    expect(workflow.status, "COMPLETED", f"status of {workflow.workflow_id}")
    refs = {step.ref for step in steps}
    counts = Counter(
        (task.reference_task_name, task.status) for task in workflow.tasks if task.reference_task_name in refs
    )
    for ref in sorted(refs):
        expect(counts.pop((ref, "COMPLETED"), 0), 1, f"COMPLETED records of {ref}")
    expect({status for _, status in counts} - {"TIMED_OUT"}, set(), "other records")


def check_dataflow(workflow: Workflow, steps: list[Step]) -> None:
    """Every task was given the nonces that the tasks before it had answered with; so was the output."""
    done = {task.reference_task_name: task for task in workflow.tasks if task.status == "COMPLETED"}
    for step in steps:
        wanted = {ref: done[ref].output_data["nonce"] for ref in step.after}
        expect(done[step.ref].input_data["after"], wanted, f"input of {step.ref}")
        expect(done[step.ref].output_data["after"], wanted, f"input of {step.ref} as its worker saw it")
    last = {ref: done[ref].output_data["nonce"] for ref in ("t21", "t22")}
    expect(workflow.output, {"nonces": last}, "output of the workflow")


def check_journal(stand: Stand, workflows: list[Workflow]) -> tuple[int, int]:
    """Compares the workers' word with the records; counts late results and answers nobody got."""
    ids = [workflow.workflow_id for workflow in workflows]
    tasks = {task.task_id: task for workflow in workflows for task in worked(workflow)}
    finished = of_full_22(stand, ids, "finished")
    expect(most(of_full_22(stand, ids, "started")), 1, "how often a task was handed to a worker")
    expect(most(finished), 1, "how often a task was finished")
    lost = [entry for entry in stand.journal.entries() if entry.event == "result_lost"]
    expect(lost, [], "results that the SDK gave up")
    nonces = {entry.task_id: entry.nonce for entry in finished}
    for task in tasks.values():
        check_one(task, nonces.get(task.task_id))
    expect(nonces.keys() - tasks.keys(), set(), "tasks that only the workers know")
    timed_out = [task for task in tasks.values() if task.status == "TIMED_OUT"]
    late = sum(task.task_id in nonces for task in timed_out)
    return late, len(timed_out) - late


def check_one(task: Task, nonce: str | None) -> None:
    name = f"{task.reference_task_name} of {task.workflow_instance_id}"
    expect(task.poll_count, 1, f"polls of {name}")
    if task.status == "COMPLETED":
        expect(task.output_data["nonce"], nonce, f"nonce of {name}")
    elif task.status != "TIMED_OUT" or task.end_time - task.start_time < task.response_timeout_seconds * 1000:
        raise NotSeen(f"{name} is {task.status} after {task.end_time - task.start_time} ms")


def most(entries: list[Entry]) -> int:
    return max(Counter(entry.task_id for entry in entries).values())


def tell(stand: Stand, kills: list[Kill], late: int, unknown: int) -> str:
    resent = stand.log_lines("Failed to update task (attempt") + stand.log_lines("will retry (attempt")
    return (
        f"{WORKFLOWS} workflows, {WORKFLOWS * 22} tasks done once each, records and journal agree;"
        f" killed at {kills[0]}, and at {kills[1]}; {failed_polls(stand)} polls failed,"
        f" {resent} results sent again, {late} came late, {unknown} leases nobody held"
    )

"""full-22 with SDK workers for all 22 types, and a SIGKILL of the engine in the middle."""

from collections import Counter
from dataclasses import dataclass

from conductor.client.http.models.task import Task
from conductor.client.http.models.workflow import Workflow

from bench import Bench
from definitions import Step, read_full_22, read_steps, read_task_defs
from journal import Entry
from waiting import NotSeen, expect, wait_until

WORKFLOWS = 5
FINISHED_BEFORE_THE_KILL = 30
WARM_UP_LIMIT_S = 60.0
FINISH_LIMIT_S = 100.0


@dataclass(frozen=True)
class Seen:
    """What the engine had answered before the kill, and what there was at the end."""

    before: list[Workflow]
    after: list[Workflow]
    in_hand: int
    outage_s: float


def registers(bench: Bench) -> str:
    for definition in read_task_defs(bench.workflows):
        bench.metadata.register_task_def(definition)
    bench.metadata.register_workflow_def(read_full_22(bench.workflows), overwrite=True)
    return check_registered(bench)


def check_registered(bench: Bench) -> str:
    wanted = read_full_22(bench.workflows)
    stored = bench.metadata.get_workflow_def("full_22_optimized", version=1)
    expect([task["taskReferenceName"] for task in plain(stored.tasks)], refs_of(wanted.tasks), "top-level references")
    types = {definition.name: definition.retry_count for definition in bench.metadata.get_all_task_defs()}
    expect({step.task for step in read_steps(bench.workflows)} - types.keys(), set(), "task types not stored")
    return f"22 task definitions and full_22_optimized with {len(stored.tasks)} top-level tasks read back"


def plain(tasks: list) -> list[dict]:
    return [task if isinstance(task, dict) else {"taskReferenceName": task.task_reference_name} for task in tasks]


def refs_of(tasks: list) -> list[str]:
    return [task["taskReferenceName"] for task in plain(tasks)]


def survives_a_kill(bench: Bench) -> str:
    steps = read_steps(bench.workflows)
    with bench.workers("full-22"):
        seen = work_through_a_kill(bench)
    check_nothing_changed(seen)
    for workflow in seen.after:
        check_records(workflow, steps)
        check_inputs(workflow, steps)
    late, unknown = check_journal(bench, seen.after)
    check_registered(bench)
    return tell(bench, seen, late, unknown)


def work_through_a_kill(bench: Bench) -> Seen:
    ids = [bench.start("full_22_optimized", f"sdk-{index}") for index in range(WORKFLOWS)]
    wait_until(
        lambda: len(of_full_22(bench, ids, "finished")) >= FINISHED_BEFORE_THE_KILL,
        f"the workers finished {FINISHED_BEFORE_THE_KILL} tasks",
        WARM_UP_LIMIT_S,
    )
    before = [bench.read(workflow_id) for workflow_id in ids]
    expect({workflow.status for workflow in before}, {"RUNNING"}, "statuses before the kill")
    outage_s = bench.engine.kill_and_restart()
    in_hand = tasks_in_hand(bench, ids)
    return Seen(before, [bench.finish(workflow_id, FINISH_LIMIT_S) for workflow_id in ids], in_hand, outage_s)


def of_full_22(bench: Bench, ids: list[str], event: str) -> list[Entry]:
    return [entry for entry in bench.journal.entries() if entry.event == event and entry.workflow_id in ids]


def tasks_in_hand(bench: Bench, ids: list[str]) -> int:
    started = {entry.task_id for entry in of_full_22(bench, ids, "started")}
    return len(started - {entry.task_id for entry in of_full_22(bench, ids, "finished")})


def check_nothing_changed(seen: Seen) -> None:
    """What was answered as completed before the kill is the same after it."""
    after = {task.task_id: told(task) for workflow in seen.after for task in workflow.tasks}
    for task in (task for workflow in seen.before for task in workflow.tasks):
        if task.status == "COMPLETED":
            expect(after.get(task.task_id), told(task), f"{task.reference_task_name} as answered before the kill")


def told(task: Task) -> tuple[str, object, int]:
    return task.status, task.output_data, task.end_time


def check_records(workflow: Workflow, steps: list[Step]) -> None:
    """Each of the 22 has exactly one COMPLETED record, and any other record is an expired lease."""
    expect(workflow.status, "COMPLETED", f"status of {workflow.workflow_id}")
    refs = {step.ref for step in steps}
    counts = Counter((task.reference_task_name, task.status) for task in workflow.tasks if task.reference_task_name in refs)
    for ref in sorted(refs):
        expect(counts.pop((ref, "COMPLETED"), 0), 1, f"COMPLETED records of {ref}")
    expect({status for _, status in counts} - {"TIMED_OUT"}, set(), "other records")


def check_inputs(workflow: Workflow, steps: list[Step]) -> None:
    """Every task was given the nonces that the tasks before it had answered with."""
    done = {task.reference_task_name: task for task in workflow.tasks if task.status == "COMPLETED"}
    for step in steps:
        wanted = {ref: done[ref].output_data["nonce"] for ref in step.after}
        expect(done[step.ref].input_data["after"], wanted, f"input of {step.ref}")
        expect(done[step.ref].output_data["after"], wanted, f"input of {step.ref} as its worker saw it")


def check_journal(bench: Bench, workflows: list[Workflow]) -> tuple[int, int]:
    """Compares the workers' word with the records; counts late results and answers nobody got."""
    ids = [workflow.workflow_id for workflow in workflows]
    tasks = {task.task_id: task for workflow in workflows for task in workflow.tasks if task.task_type not in ("FORK", "JOIN")}
    finished = of_full_22(bench, ids, "finished")
    expect(most(of_full_22(bench, ids, "started")), 1, "how often a task was handed to a worker")
    expect(most(finished), 1, "how often a task was finished")
    lost = [entry for entry in bench.journal.entries() if entry.event == "result_lost"]
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
    elif task.status != "TIMED_OUT":
        raise NotSeen(f"{name} is {task.status}")


def most(entries: list[Entry]) -> int:
    return max(Counter(entry.task_id for entry in entries).values())


def tell(bench: Bench, seen: Seen, late: int, unknown: int) -> str:
    done = sum(task.status == "COMPLETED" for workflow in seen.before for task in workflow.tasks)
    completed = WORKFLOWS * 22
    failed_polls = sum(entry.event == "poll_failed" for entry in bench.journal.entries())
    resent = bench.log_lines("will retry (attempt") + bench.log_lines("Failed to update task (attempt")
    return (
        f"{WORKFLOWS} workflows, {completed} tasks once each, nonces agree; killed with {done} records completed"
        f" and {seen.in_hand} in hand, away {seen.outage_s:.2f} s; {failed_polls} polls failed,"
        f" {resent} results sent again, {late} came late, {unknown} leases nobody held"
    )

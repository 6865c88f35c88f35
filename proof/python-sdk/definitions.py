"""The definitions of the proof: full-22 from the scenarios, and one workflow per special worker."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from conductor.client.http.models.task_def import TaskDef
from conductor.client.http.models.workflow_def import WorkflowDef, to_workflow_def
from conductor.client.http.models.workflow_task import WorkflowTask

FULL_22_SLOTS = 5
LEASED_TYPE = "sdk_leased"
UNLEASED_TYPE = "sdk_unleased"
MANUAL_TYPE = "sdk_manual"
# The SDK sends a heartbeat at the first of its one-second ticks after 80 % of the lease,
# so 5 s is the shortest lease that it always extends in time.
LEASE_S = 6
LONG_WORK_S = 9.0
LONG_SLOTS = 2


@dataclass(frozen=True)
class Step:
    """One of the 22 tasks: its reference, its type, its duration and what it comes after."""

    ref: str
    task: str
    work_s: int
    after: tuple[str, ...]


def read_steps(workflows: Path) -> list[Step]:
    with (workflows / "full-22.csv").open() as file:
        return [
            Step(row["ref"], row["task"], int(row["optimized_s"]), tuple(row["optimized_after"].split()))
            for row in csv.DictReader(file)
        ]


def read_full_22(workflows: Path) -> WorkflowDef:
    return to_workflow_def(data=(workflows / "full-22-optimized.json").read_text())


def read_task_defs(workflows: Path) -> list[TaskDef]:
    attributes = {key: attribute for attribute, key in TaskDef.attribute_map.items()}
    return [
        TaskDef(**{attributes[key]: value for key, value in written.items()})
        for written in json.loads((workflows / "taskdefs.json").read_text())
    ]


def task_def(name: str, retry_count: int, lease_s: int) -> TaskDef:
    return TaskDef(
        name=name,
        retry_count=retry_count,
        retry_logic="FIXED",
        retry_delay_seconds=1,
        timeout_seconds=0,
        timeout_policy="RETRY",
        response_timeout_seconds=lease_s,
        owner_email="qa@example.com",
    )


def chain(name: str, task_type: str, length: int = 1) -> WorkflowDef:
    """A workflow of `length` tasks of one type, one after the other."""
    return WorkflowDef(
        name=name,
        version=1,
        schema_version=2,
        owner_email="qa@example.com",
        timeout_seconds=0,
        timeout_policy="ALERT_ONLY",
        tasks=[
            WorkflowTask(
                name=task_type,
                task_reference_name=f"step_{number}",
                type="SIMPLE",
                input_parameters={"project": "${workflow.input.project}"},
            )
            for number in range(1, length + 1)
        ],
    )


def special_task_defs() -> list[TaskDef]:
    return [
        task_def("sdk_fails_twice", retry_count=2, lease_s=30),
        task_def("sdk_refuses", retry_count=5, lease_s=30),
        task_def("sdk_in_steps", retry_count=2, lease_s=30),
        task_def(LEASED_TYPE, retry_count=2, lease_s=LEASE_S),
        task_def(UNLEASED_TYPE, retry_count=2, lease_s=LEASE_S),
        task_def(MANUAL_TYPE, retry_count=0, lease_s=60),
    ]

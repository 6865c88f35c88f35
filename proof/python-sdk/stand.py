"""What every case works with: the engine, the SDK's clients, the workers' processes and journal."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conductor.client.configuration.configuration import Configuration
from conductor.client.http.models.start_workflow_request import StartWorkflowRequest
from conductor.client.http.models.task import Task
from conductor.client.http.models.workflow import Workflow
from conductor.client.metadata_client import MetadataClient
from conductor.client.orkes_clients import OrkesClients
from conductor.client.task_client import TaskClient
from conductor.client.workflow_client import WorkflowClient

from engine import Engine, note_group
from journal import Journal
from waiting import wait_until

TERMINAL = {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}


@dataclass(frozen=True)
class Stand:
    engine: Engine
    metadata: MetadataClient
    workflow: WorkflowClient
    task: TaskClient
    journal: Journal
    workflows: Path
    room: Path

    def start(self, name: str, project: str) -> str:
        """The id of a new workflow with the input `project`."""
        return self.workflow.start_workflow(
            StartWorkflowRequest(name=name, version=1, input={"project": project}, correlation_id=project)
        )

    def read(self, workflow_id: str) -> Workflow:
        return self.workflow.get_workflow(workflow_id, include_tasks=True)

    def finish(self, workflow_id: str, limit_s: float) -> Workflow:
        """The workflow, once it is terminal."""
        wait_until(
            lambda: self.workflow.get_workflow_status(workflow_id).status in TERMINAL,
            f"workflow {workflow_id} is terminal",
            limit_s,
        )
        return self.read(workflow_id)

    def log_lines(self, *words: str) -> int:
        """How many lines the workers' SDK logged with all these words."""
        return sum(
            all(word in line for word in words)
            for log in self.room.glob("workers-*.log")
            for line in log.read_text().splitlines()
        )

    @contextmanager
    def workers(self, which: str) -> Iterator[None]:
        """SDK workers in processes of their own, stopped at the end."""
        with (self.room / f"workers-{which}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker_main.py")), "--set", which]
                + ["--sdk-url", self.engine.sdk_url, "--journal", str(self.journal.path)]
                + ["--workflows", str(self.workflows)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        note_group(self.room, process.pid)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=15)


def records(workflow: Workflow, ref: str = "step_1") -> list[Task]:
    """All attempts of one task, the oldest first."""
    return [task for task in workflow.tasks if task.reference_task_name == ref]


def open_stand(engine: Engine, workflows: Path, room: Path) -> Stand:
    clients = OrkesClients(Configuration(server_api_url=engine.sdk_url))
    return Stand(
        engine=engine,
        metadata=clients.get_metadata_client(),
        workflow=clients.get_workflow_client(),
        task=clients.get_task_client(),
        journal=Journal(room / "journal.jsonl"),
        workflows=workflows,
        room=room,
    )

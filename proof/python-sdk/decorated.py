"""Workers registered by the SDK's decorator, which also registers their task definitions."""

import asyncio
from dataclasses import dataclass

from conductor.client.http.models.task_def import TaskDef
from conductor.client.worker.worker_task import worker_task


@dataclass(frozen=True)
class Made:
    """A decorated worker and what it leads to for the input `shakedown`."""

    kind: str
    task_type: str
    retry_count: int
    output: str


PLAIN = Made("def", "sdk_decorated", 7, "SHAKEDOWN")
# Without a template the SDK sends only the name: the count is the server's default.
ASYNC = Made("async def", "sdk_decorated_async", 3, "nwodekahs")
MADE = [PLAIN, ASYNC]


@worker_task(
    task_definition_name=PLAIN.task_type,
    register_task_def=True,
    task_def=TaskDef(name=PLAIN.task_type, retry_count=PLAIN.retry_count, response_timeout_seconds=30),
)
def decorated(project: str) -> dict:
    return {"project": project.upper()}


@worker_task(task_definition_name=ASYNC.task_type, register_task_def=True)
async def decorated_async(project: str) -> dict:
    await asyncio.sleep(0)
    return {"project": project[::-1]}

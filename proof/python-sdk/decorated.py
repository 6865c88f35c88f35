"""Workers registered by the SDK's decorator, which also registers their task definitions."""

import asyncio

from conductor.client.http.models.task_def import TaskDef
from conductor.client.worker.worker_task import worker_task

SYNC_TYPE = "sdk_decorated"
ASYNC_TYPE = "sdk_decorated_async"
RETRY_COUNT = 7


@worker_task(
    task_definition_name=SYNC_TYPE,
    register_task_def=True,
    task_def=TaskDef(name=SYNC_TYPE, retry_count=RETRY_COUNT, retry_delay_seconds=1, response_timeout_seconds=30),
)
def decorated(project: str) -> dict:
    return {"project": project.upper()}


@worker_task(task_definition_name=ASYNC_TYPE, register_task_def=True)
async def decorated_async(project: str) -> dict:
    await asyncio.sleep(0)
    return {"project": project[::-1]}

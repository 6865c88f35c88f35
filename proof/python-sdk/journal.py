"""The workers' own record of what they did: one JSON line per event, appended by many processes."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """`event` is started, finished, raised, in_progress, poll_failed, result_lost or slots_free."""

    event: str
    task_type: str
    workflow_id: str = ""
    task_id: str = ""
    retry_count: int = 0
    poll_count: int = 0
    nonce: str = ""
    free_slots: int = 0
    pid: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class Journal:
    path: Path

    def append(self, entry: Entry) -> None:
        """One write of one line, so that lines of different processes never mix."""
        line = json.dumps({**asdict(entry), "pid": os.getpid(), "at": time.time()}) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def entries(self) -> list[Entry]:
        if not self.path.exists():
            return []
        return [Entry(**json.loads(line)) for line in self.path.read_text().splitlines()]

    def of(self, workflow_id: str, event: str) -> list[Entry]:
        return [entry for entry in self.entries() if entry.workflow_id == workflow_id and entry.event == event]

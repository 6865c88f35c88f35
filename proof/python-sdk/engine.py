"""The reference engine as a child process that can be killed and started again on its store."""

import re
import signal
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from waiting import wait_until

START_LIMIT_S = 20.0


class Engine:
    """One engine on one port and one SQLite store; `kill` and `start` may alternate."""

    def __init__(self, binary: Path, room: Path) -> None:
        self._binary = binary
        self._room = room
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def url(self) -> str:
        return f"http://{self._listen}"

    @property
    def sdk_url(self) -> str:
        return f"{self.url}/api"

    def start(self) -> None:
        """Starts the engine on the port it had before, or on a free one; returns when it is healthy."""
        self.starts += 1
        answer = self._room / f"engine-{self.starts}.out"
        with answer.open("wb") as out, (self._room / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "engine", "--listen", self._listen, "--store", f"sqlite:{self._room}/engine.db"],
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        note_group(self._room, self._process.pid)
        wait_until(lambda: self._read_address(answer), "the engine says where it listens", START_LIMIT_S)
        wait_until(self._is_healthy, "the engine is healthy", START_LIMIT_S)

    def kill(self) -> None:
        """SIGKILL: the engine gets no chance to finish anything."""
        assert self._process is not None, "start comes before kill"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _read_address(self, answer: Path) -> bool:
        assert self._process is not None, "start sets the process first"
        if self._process.poll() is not None:
            raise RuntimeError(f"the engine ended with {self._process.returncode}, see {self._room}/engine.log")
        found = re.search(r"listening on http://(\S+)", answer.read_text())
        if found:
            self._listen = found.group(1)
        return found is not None

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"{self.url}/health", timeout=2) as response:
                return response.status == 200
        except (URLError, OSError):
            return False


def note_group(room: Path, group: int) -> None:
    """Leaves a process group to the clean-up of `run`, whatever becomes of this process."""
    with (room / "groups").open("a") as groups:
        groups.write(f"{group}\n")

"""Starts the real server as a process of its own and knows its addresses; for every test that needs one."""

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_SECONDS = 60
STOP_SECONDS = 15
READY = re.compile(r"(?P<url>https?://\S+) (?:.* grpcs?://(?P<grpc_target>\S+) )?")


@dataclass(frozen=True, slots=True)
class RunningServer:
    url: str
    grpc_target: str  # empty where there is no gRPC port
    process: subprocess.Popen[str]
    ready_line: str
    log: Path

    def logged(self) -> str:
        """Everything it has said on stderr."""
        return self.log.read_text()

    def kill(self) -> None:
        """kill -9: nothing is flushed, nothing is closed."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def serve_command(data: Path, *arguments: str) -> list[str]:
    """Free ports, unless the arguments say otherwise."""
    command = [sys.executable, "-m", "backtrail_server", "serve", "--port", "0", "--grpc-port", "0"]
    return [*command, "--data", str(data), *arguments]


@contextmanager
def running_server(
    data: Path, *arguments: str, env: dict[str, str] | None = None, inside: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """Entered when the server serves, left when it has ended. `env` replaces the environment if it is given; `inside`
    is a command that executes the server's."""
    with tempfile.NamedTemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*inside, *serve_command(data, *arguments)], stdout=subprocess.PIPE, stderr=errors, text=True, env=env
        )
        try:
            line = first_line(process)
            ready = READY.search(line)
            if ready is None:
                process.kill()
                errors.seek(0)
                raise AssertionError(f"the server did not start; it said {line!r} and {errors.read()!r}")
            yield RunningServer(ready["url"], ready["grpc_target"] or "", process, line.rstrip("\n"), Path(errors.name))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(STOP_SECONDS)
            stdout(process).close()


def first_line(process: subprocess.Popen[str]) -> str:
    """Reads without waiting for ever: a server that hangs while it starts is killed, which ends the read."""
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        return stdout(process).readline()
    finally:
        timer.cancel()


def stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout

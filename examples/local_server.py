"""`backtrail-server serve` as a process of its own, on free ports, for as long as a block lasts."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 15


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The server's address. Its data stands in the folder, and what it complains about in `server.log` there."""
    command = [sys.executable, "-m", "backtrail_server", "serve"]
    flags = ["--port", "0", "--grpc-port", "0", "--data", str(folder / "data")]
    log = folder / "server.log"
    with log.open("w") as complaints:
        # A session of its own: Ctrl-C reaches this program only, which then ends the server in order.
        server = subprocess.Popen(
            command + flags, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True
        )
    with server:
        assert server.stdout is not None
        try:
            ready = server.stdout.readline()
            if not (address := re.search(r"http://\S+", ready)):
                raise RuntimeError(f"the server did not start: {log.read_text().strip() or ready}")
            yield address[0]
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()

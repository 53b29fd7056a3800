"""Lives of an inbox on a disk that fails when it is told to, and what is left of each.

The disk is a small library of C, compiled for the run and preloaded: it stands where the inbox meets the system, so
nothing of the inbox has to be changed or replaced, and SQLite meets the fault as it would in life.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backtrail_ingest.envelope import Envelope
from backtrail_ingest.inbox.inbox_rows import Entry
from backtrail_ingest.requests.first_names import first_names
from backtrail_ingest.signals import TRACES
from tests.factories import plain_span, span_id
from tests.faults.teller import read_book
from tests.ingest.conftest import envelope_of

ROOT = Path(__file__).parents[2]
KINDS = ("write", "sync", "truncate", "unlink", "rename")
NO_FAULT = 1 << 40
DIES = 0


def compile_disk(folder: Path) -> Path | None:
    """None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "faulty_disk.so"
    source = Path(__file__).with_name("faulty_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"], check=True)
    return library


def numbered(number: int) -> Envelope:
    """Five or so fill a page; two projects take turns; the span's name is the number."""
    noise = random.Random(number).randbytes(6000).hex()
    span = plain_span(str(number), id_=span_id(number), attributes={"noise": noise})
    return envelope_of(span, project=("odd", "even")[number % 2 == 0])


def numbers_of(entries: Iterable[Entry]) -> list[int]:
    return [int(first_names(TRACES, entry.envelope.request)[0]) for entry in entries]


@dataclass(frozen=True, slots=True)
class Life:
    """What was told of it, and how it ended: 0, or minus the signal."""

    folder: Path
    exit_code: int

    @property
    def told(self) -> list[list[str]]:
        return read_book(self.folder / "told")

    def numbers(self, word: str) -> set[int]:
        return {int(line[1]) for line in self.told if line[0] == word}

    def calls(self, kind: str) -> int:
        return next(int(line[2]) for line in self.told if line[:2] == ["calls", kind])

    @property
    def was_killed(self) -> bool:
        return self.exit_code == -signal.SIGKILL


class Lives:
    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self._folder = folder
        self._process = process
        self._count = 0

    def live(self, kind: str = "write", at: int = NO_FAULT, *, error: int = DIES, times: int = 1) -> Life:
        """The `at`th call of this kind fails, and so do the next ones up to `times`; without an error, it kills."""
        self._count += 1
        return self.live_in(self._folder / str(self._count), kind, at, error=error, times=times)

    def live_in(self, folder: Path, kind: str, at: int, *, error: int = DIES, times: int = 1) -> Life:
        folder.mkdir(parents=True, exist_ok=True)
        order = {"folder": str(folder), "kind": kind, "at": at, "error": error, "times": times}
        pipe(self._process.stdin).write(json.dumps(order) + "\n")
        pipe(self._process.stdin).flush()
        return Life(folder, int(pipe(self._process.stdout).readline()))


def pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


@contextmanager
def lives_on(disk: Path, folder: Path, **environment: str) -> Iterator[Lives]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.inbox_life"],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(disk), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Lives(folder, process)

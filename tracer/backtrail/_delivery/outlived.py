"""Settings that were replaced while runs were open: those go on with them, and the last to end stops what is behind.

configure → **outlived** ← the end of a run
"""

from __future__ import annotations

import threading

from backtrail._boundary import never_raise
from backtrail._runs.run import runtimes
from backtrail._spans.recorder import Recorder, current_recorder

from .lifetime import not_at_exit

_outlived: list[Recorder] = []
_stopping = never_raise("stopping what former settings began")


def stop_after_its_runs(recorder: Recorder) -> None:
    """At once, if no run of these settings is open."""
    if _has_open_runs(recorder):
        _outlived.append(recorder)
    else:
        stop(recorder)


def run_ended(recorder: Recorder) -> None:
    """Called at the end of each run, with its settings; what follows takes no time of the program's."""
    if not _outlived or recorder.sink is current_recorder().sink:
        return
    with _stopping:
        for outlived in [one for one in _outlived if one.sink is recorder.sink and not _has_open_runs(one)]:
            _outlived.remove(outlived)
            threading.Thread(target=_stop_quietly, args=(outlived,), name="backtrail-stop", daemon=True).start()


def stop(recorder: Recorder) -> None:
    """Deliver what waits, within its time, and let go of everything but what other settings use as well."""
    if recorder.sink is not None:
        recorder.sink.shutdown()
        not_at_exit(recorder.sink.shutdown)
    if recorder.beside is not None:
        used = [each.beside.outlets for each in (current_recorder(), *_outlived) if each.beside is not None]
        recorder.beside.stop_all_but([outlet for outlets in used for outlet in outlets])
        not_at_exit(recorder.beside.shutdown)


def _stop_quietly(recorder: Recorder) -> None:
    with _stopping:
        stop(recorder)


def _has_open_runs(recorder: Recorder) -> bool:
    return any(run.recorder.sink is recorder.sink and run.status == "open" for run in runtimes())

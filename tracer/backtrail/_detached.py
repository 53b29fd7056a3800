"""Where recording stands outside of any run: contexts and state work, and nothing is recorded.

a block without a run, a ToolContext made in a test → **detached position**
"""

from ._recorder import Recorder
from ._run import RunRuntime
from ._run_context import RunContext
from ._scope import Position


def detached_position(context: RunContext | None = None) -> Position:
    runtime = RunRuntime(Recorder(), "detached", context if context is not None else RunContext())
    runtime.span = runtime.recorder.start_root("detached", runtime.trace_id, {}, ())
    return Position(runtime, runtime.context, None, None, runtime.root_scope)

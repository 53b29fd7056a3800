"""Where recording stands outside of any run: contexts and state work, and nothing is recorded.

a block without a run, a ToolContext made in a test → **detached position**
"""

from backtrail._contexts.run_context import RunContext
from backtrail._runs.run import RunRuntime
from backtrail._runs.scope import Position
from backtrail._spans.recorder import Recorder


def detached_position(context: RunContext | None = None) -> Position:
    runtime = RunRuntime(Recorder(), "detached", context if context is not None else RunContext())
    runtime.span = runtime.recorder.start_root("detached", runtime.trace_id, {}, ())
    return Position(runtime, runtime.context, None, None, runtime.root_scope)

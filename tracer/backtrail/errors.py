"""Everything Backtrail raises into a user's program, and nothing else.

    BacktrailError
    ├── ReplayError                      a recording cannot be replayed as asked
    │   ├── ReplayDivergenceError        the program no longer does what was recorded
    │   ├── LiveCallBlockedError         a call that would have had an effect was stopped
    │   ├── ResultNotReplayableError     the record holds no value to give back; see `.reason`
    │   ├── UnknownOutcomeError          an unsafe step was cut off: nobody knows whether it happened
    │   └── RecordedError                an error of the recorded run whose class is not known here
    ├── CheckpointError                  a checkpoint could not be made durable, or not be loaded
    │   ├── CheckpointNotFoundError
    │   └── CheckpointGapError           records are missing: the state there cannot be known
    ├── LocalServerError                 init_local() cannot serve from inside this process
    │   └── ServerNotInstalledError      also an ImportError
    ├── ContextError                     a context cannot be restored, or go further, as asked
    │   ├── ContextTextError             the text holds no context that this version can read
    │   ├── ContextClassError            the text holds a context of another class
    │   ├── MissingServiceError          a service that no text can hold was not given; see `.names`
    │   └── ContextLimitError            a child below max_depth, or a retry beyond max_retries
    ├── InterceptedError                 an interceptor stopped a run, an agent or a step
    ├── ApiError                         the server refused a request
    ├── MissingPackageError              an extra is not installed; the message names it
    └── ServerUnreachableError           nobody answers at the endpoint

Recording itself raises none of these, unless `configure(strict=True)` asks for it.
"""

from typing import Any


class BacktrailError(Exception):
    """Catch this to catch everything Backtrail raises."""


class ReplayError(BacktrailError):
    """The recording cannot be replayed as asked; the message says what was seen."""


class ReplayDivergenceError(ReplayError):
    """The program did something the recording does not hold. Compare the two inputs in the message."""


class LiveCallBlockedError(ReplayError):
    """A step would have run live where that was not allowed. Allow it by name, or choose another mode."""


class ResultNotReplayableError(ReplayError):
    """The record holds no value that can be given back. Run the step live, or register its type."""

    def __init__(self, message: str, *, reason: str = "opaque") -> None:
        super().__init__(message)
        self.reason = reason


class UnknownOutcomeError(ReplayError):
    """An unsafe step was cut off midway. Find out what happened, then allow or override it."""


class RecordedError(ReplayError):
    """An error from the recording, of a class this program does not know.

    It is raised as a subclass of the nearest built-in error of the original, so `except ValueError`
    catches what it caught in the recorded run.
    """

    type: str = ""
    module: str = ""
    message: str = ""
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return self.message


class CheckpointError(BacktrailError):
    """A checkpoint could not be made durable, or not be loaded."""


class CheckpointNotFoundError(CheckpointError):
    """There is no checkpoint of this id in the run."""


class CheckpointGapError(CheckpointError):
    """Records are missing before this point, so the state there cannot be known."""


class LocalServerError(BacktrailError):
    """`init_local()` cannot serve from inside this process; the message is the server's own and says why."""


class ServerNotInstalledError(LocalServerError, ImportError):
    """`init_local()` needs the distribution `backtrail-server` beside the SDK."""


class ContextError(BacktrailError):
    """A context cannot be restored, or go further, as asked."""


class ContextTextError(ContextError):
    """The text holds no context that this version can read. Nothing of it has been used."""


class ContextClassError(ContextError):
    """The text holds a context of another class. Call `from_json` of that class."""


class MissingServiceError(ContextError):
    """A service that no text can hold was not given; `.names` are the arguments `from_json` still needs."""

    def __init__(self, message: str, *, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names


class ContextLimitError(ContextError):
    """The context allows no deeper delegation, or no further retry. Ask `can_delegate` or `can_retry` first."""


class InterceptedError(BacktrailError):
    """An interceptor stopped a call, or kept its result back: `.reason` says why, `.phase` when, `.interceptor` who."""

    def __init__(self, reason: str, *, phase: str = "", interceptor: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.phase = str(phase)  # plain text: a recording gives it back
        self.interceptor = interceptor

    def __str__(self) -> str:
        return f"{self.reason} ({self.interceptor}, {self.phase.replace('_', ' ')})"


class ApiError(BacktrailError):
    """The server refused a request; `.status` is its HTTP status, the message its own words."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class MissingPackageError(BacktrailError, ImportError):
    """What was asked for needs a package that is not installed; the message says what installs it."""


class ServerUnreachableError(BacktrailError):
    """Nobody answers at the endpoint. Start `backtrail-server serve`, or name another endpoint."""


__all__ = [
    "ApiError",
    "BacktrailError",
    "CheckpointError",
    "CheckpointGapError",
    "CheckpointNotFoundError",
    "ContextClassError",
    "ContextError",
    "ContextLimitError",
    "ContextTextError",
    "InterceptedError",
    "LiveCallBlockedError",
    "LocalServerError",
    "MissingPackageError",
    "MissingServiceError",
    "RecordedError",
    "ReplayDivergenceError",
    "ReplayError",
    "ResultNotReplayableError",
    "ServerNotInstalledError",
    "ServerUnreachableError",
    "UnknownOutcomeError",
]

"""How far the record reaches, for each scope of a replayed run on its own.

    Replay.on_call → **frontier**

One switch for the whole run would let the first live step of one branch turn its siblings live, whose recorded
answers are as good as ever.
"""

import json

from backtrail.canonical import canonical_text

Scope = str  # the JSON text of its frames, as in a call


class Frontier:
    """The scopes that have gone past the record. Not thread-safe: `Replay` holds its lock around it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._live: set[str] = set()
        self._called_in: dict[str, Scope] = {}

    def opened(self, scope: Scope) -> None:
        """A scope was made: it starts live under a live one, and keeps replaying whatever its parent does later."""
        if scope in self._known:
            return
        self._known.add(scope)
        parent = self._parent(scope)
        if parent is not None:
            self.opened(parent)
            if self.is_live(parent):
                self._live.add(scope)

    def entered(self, step_key: str, scope: Scope) -> None:
        """A step was called in `scope`; calls in its own body begin a scope of its own."""
        self.opened(scope)
        self._called_in[step_key] = scope

    def is_live(self, scope: Scope) -> bool:
        return scope in self._live

    def is_known(self, scope: Scope) -> bool:
        return scope in self._known

    def body_runs(self, step_key: str) -> None:
        """A live body starts: its own scope, the calling one and those around it are past the record."""
        self._turn_live(canonical_text([["step", step_key]]))
        self.left(step_key)

    def left(self, step_key: str) -> None:
        """A body that ran on its nested records has ended: what follows it may depend on what was new in it."""
        scope = self._called_in.get(step_key)
        while scope is not None:
            self._turn_live(scope)
            scope = self._parent(scope)

    def _turn_live(self, scope: Scope) -> None:
        self._known.add(scope)
        self._live.add(scope)

    def _parent(self, scope: Scope) -> Scope | None:
        frames = json.loads(scope)
        if not frames:
            return None
        if len(frames) == 1 and frames[0][0] == "step":
            return self._called_in.get(str(frames[0][1]))
        return canonical_text(frames[:-1])

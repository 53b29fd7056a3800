"""How far the record reaches, for each scope of a replayed run on its own.

    Replay.on_call → **frontier**

One switch for the whole run would let the first live step of one branch turn its siblings live, whose recorded
answers are as good as ever.
"""

from collections.abc import Sequence

from backtrail.canonical import canonical_text

Scope = Sequence[Sequence[object]]


class Frontier:
    """The scopes that have gone past the record. Not thread-safe: `Replay` holds its lock around it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._live: set[str] = set()
        self._called_in: dict[str, Scope] = {}

    def opened(self, scope: Scope) -> None:
        """A scope was made: it starts live under a live one, and keeps replaying whatever its parent does later."""
        name = canonical_text(scope)
        if name in self._known:
            return
        self._known.add(name)
        parent = self._parent(scope)
        if parent is not None:
            self.opened(parent)
            if self.is_live(parent):
                self._live.add(name)

    def entered(self, step_key: str, scope: Scope) -> None:
        """A step was called in `scope`; calls in its own body begin a scope of its own."""
        self.opened(scope)
        self._called_in[step_key] = scope

    def is_live(self, scope: Scope) -> bool:
        return canonical_text(scope) in self._live

    def is_known(self, scope: Scope) -> bool:
        return canonical_text(scope) in self._known

    def body_runs(self, step_key: str) -> None:
        """A live body starts: its own scope, the calling one and those around it are past the record."""
        self.turn_live([["step", step_key]])
        self.left(step_key)

    def left(self, step_key: str) -> None:
        """A body that ran on its nested records has ended: what follows it may depend on what was new in it."""
        scope: Scope | None = self._called_in.get(step_key)
        while scope is not None:
            self.turn_live(scope)
            scope = self._parent(scope)

    def turn_live(self, scope: Scope) -> None:
        name = canonical_text(scope)
        self._known.add(name)
        self._live.add(name)

    def _parent(self, scope: Scope) -> Scope | None:
        if not scope:
            return None
        if len(scope) == 1 and scope[0][0] == "step":
            return self._called_in.get(str(scope[0][1]))
        return scope[:-1]

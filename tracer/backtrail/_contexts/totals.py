"""What a run has used so far, in this process: `ctx.totals`."""

import threading


class Totals:
    """What the run has used so far, in this process."""

    __slots__ = ("_lock", "cost_usd", "input_tokens", "output_tokens", "tokens")

    def __init__(self) -> None:
        self.renew()
        self.input_tokens = 0
        self.output_tokens = 0
        self.tokens = 0
        self.cost_usd = 0.0

    def renew(self) -> None:
        """In a forked process: nobody is left to release what was held."""
        # A dropped stream ends its step wherever memory is collected: in a thread, maybe, that holds the lock as well.
        self._lock = threading.RLock()

    def add_usage(self, input_tokens: int | None, output_tokens: int | None, cost_usd: float | None) -> None:
        with self._lock:
            self.input_tokens += input_tokens or 0
            self.output_tokens += output_tokens or 0
            self.tokens += (input_tokens or 0) + (output_tokens or 0)
            self.cost_usd += cost_usd or 0.0

    def add_given(self, tokens: int | None, cost_usd: float | None) -> None:
        if tokens is not None or cost_usd is not None:
            with self._lock:
                self.tokens += tokens or 0
                self.cost_usd += cost_usd or 0.0

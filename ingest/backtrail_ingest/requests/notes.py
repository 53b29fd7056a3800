"""What was changed in one span or log record on the way in, said in its `backtrail.flagged`.

flat_values, flatten → **notes** → flatten
"""

from dataclasses import dataclass, field

from backtrail import semconv

ANSWERS = frozenset({semconv.STEP_RESULT, semconv.STEP_ERROR, semconv.STEP_STREAM, semconv.STEP_DELTAS})
SENTENCES_SHOWN = 20
NAME_SHOWN = 100


@dataclass(slots=True)
class Notes:
    """Each sentence once; `unreplayable` if a cut took from a step's answer, or from what it wrote."""

    sentences: dict[str, None] = field(default_factory=dict)
    unreplayable: bool = False

    def below(self) -> "Notes":
        """For a part of what these are about: what is said of a resource holds for each of its spans."""
        return Notes(dict(self.sentences))

    def add(self, sentence: str) -> None:
        self.sentences[sentence] = None

    def cut(self, key: str, size: int, limit: int) -> None:
        self.add(f"{key[:NAME_SHOWN]} cut at {limit} of {size} bytes")
        self.unreplayable = self.unreplayable or key in ANSWERS

    def left_out(self, count: int, what: str) -> None:
        self.add(f"{count} {what} left out")

    @property
    def text(self) -> str:
        shown = list(self.sentences)[:SENTENCES_SHOWN]
        more = len(self.sentences) - len(shown)
        return "; ".join([*shown, f"{more} more"] if more else shown)

"""How much one span may hold. What is more is left out, counted and flagged; the span is kept.

    settings → **limits** → inspection (is it within them?), flatten (cuts what is not)

Generous, because leaving out is a loss: OpenTelemetry's own SDKs stop at 128 attributes, events and links.
"""

from dataclasses import dataclass

MOST_LEVELS = 32  # of lists and maps in one another; protobuf's readers give up at about 50
MOST_FIELDS = 4_000_000  # read of a request that has to be rewritten: two seconds' work


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`attributes` counts those of a span, a log record, an event, a link, a scope or a resource, each by itself.

    A name, of an attribute too, may have `name_length` characters, a value `value_bytes` bytes.
    """

    attributes: int = 4096
    events: int = 10_000
    links: int = 10_000
    name_length: int = 16_384
    value_bytes: int = 4 << 20

    @property
    def harmless_bytes(self) -> int:
        """No smaller message can break a limit: an event takes two bytes, one more attribute of another name four."""
        return min(4 * self.attributes, 2 * self.events, 2 * self.links, self.name_length, self.value_bytes)

    @property
    def harmless_head_bytes(self) -> int:
        """The same for a resource or a scope, which have no events and no links."""
        return min(4 * self.attributes, self.name_length, self.value_bytes)

    def of(self, field: str) -> int | None:
        """How many there may be of a repeated field, by its name in OTLP."""
        return {"attributes": self.attributes, "events": self.events, "links": self.links}.get(field)


DEFAULT_LIMITS = Limits()
NO_LIMITS = Limits(attributes=1 << 40, events=1 << 40, links=1 << 40, name_length=1 << 40, value_bytes=1 << 40)

"""What is met while a value is read: why it cannot come back, and how much more of it there may be.

value → codec.encode → **Problems** → Encoded
"""

SMALLEST_ROOM = 1 << 20  # what is above a limit is still written whole, to tell its length and hash
COUNTED_FROM = 3  # what has no end is deep; ordinary values are not, and are not counted
TAG_BYTES = 16
_ROOM_AFTER_DEPTH = 64 << 10


class Service(Exception):
    """What is being read holds something that no recording can."""


class Problems:
    """What was met on the way down; the first reason is the one reported.

    `room` is how many bytes of text there may still be, by their smallest number. Objects that hold each other, or one
    another twice, would have no end before the greatest depth: the text is cut off at the limit anyway.
    """

    __slots__ = ("detail", "is_tagged", "longest", "may_hold_services", "reason", "room")

    def __init__(self, longest: int, room: int, *, may_hold_services: bool = True) -> None:
        self.longest = longest
        self.room = room
        self.may_hold_services = may_hold_services
        self.reason = ""
        self.detail = ""
        self.is_tagged = False

    def add(self, reason: str, detail: str) -> None:
        if not self.may_hold_services:
            raise Service
        if not self.reason:
            self.reason, self.detail = reason, detail

    def found_no_end(self) -> None:
        """No data is as deep as this, but objects that hold each other are: of those a part says enough."""
        self.room = min(self.room, _ROOM_AFTER_DEPTH)

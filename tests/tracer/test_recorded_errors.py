"""A recorded error is caught by the `except` clause that caught it when it happened."""

import enum
from typing import Any

import pytest

from backtrail._payloads.codec import encode
from backtrail._payloads.decode import decode
from backtrail._payloads.recorded_errors import decode_error, encode_error
from backtrail.errors import RecordedError, ReplayError


class KeywordOnly(Exception):
    def __init__(self, *, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Broken(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no message")


def round_trip(error: BaseException, *registered: type[BaseException]) -> BaseException:
    return decode_error(encode_error(error, lambda value: encode(value).json), registered, decode)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad", 3),
        KeyError("k"),
        TimeoutError(),
        OSError(2, "No such file"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopAsyncIteration(5),
    ],
)
def test_built_in_errors_come_back_as_themselves(error: BaseException) -> None:
    back = round_trip(error)

    assert type(back) is type(error)
    assert (str(back), back.args) == (str(error), error.args)


def test_registered_classes_come_back_without_their_constructor() -> None:
    back = round_trip(KeywordOnly(status=503), KeywordOnly)

    assert isinstance(back, KeywordOnly)
    assert (back.status, str(back)) == (503, "status 503")


def test_unknown_classes_are_caught_by_their_built_in_base() -> None:
    class Refused(ConnectionRefusedError):
        pass

    back = round_trip(Refused("port 80"))

    assert isinstance(back, RecordedError)
    assert isinstance(back, ConnectionRefusedError)
    assert (type(back).__name__, str(back)) == ("Refused", "port 80")


def test_causes_notes_and_groups_come_back() -> None:
    error = ValueError("outer")
    error.__cause__ = KeyError("inner")
    error.add_note("while reading")
    group = ExceptionGroup("two", [error, OSError("x")])

    back: Any = round_trip(group)

    assert isinstance(back, ExceptionGroup)
    assert back.message == "two"
    assert [type(each) for each in back.exceptions] == [ValueError, OSError]
    assert back.exceptions[0].__notes__ == ["while reading"]
    assert isinstance(back.exceptions[0].__cause__, KeyError)


def test_a_message_that_cannot_be_read_is_said_to_be_so() -> None:
    encoded = encode_error(Broken(), lambda value: encode(value).json)

    assert encoded["message"] == "<Broken whose message cannot be read>"


class Hostile(ValueError):
    @property
    def retryable(self) -> bool:
        raise RuntimeError("retryable")


def with_notes(notes: Any) -> BaseException:
    error = ValueError("noted")
    error.__notes__ = notes
    return error


def nested(depth: int) -> BaseException:
    error: BaseException = ValueError("innermost")
    for _ in range(depth):
        error = BaseExceptionGroup("group", [error])
    return error


@pytest.mark.parametrize("error", [Hostile("asked"), with_notes([enum]), with_notes(5), nested(5_000)])
def test_of_an_error_that_cannot_be_looked_into_class_and_message_are_kept(error: BaseException) -> None:
    encoded = encode_error(error, lambda value: encode(value).json)

    assert (encoded["type"], encoded["message"]) in [
        ("Hostile", "asked"),
        ("ValueError", "noted"),
        ("ExceptionGroup", "group (1 sub-exception)"),
        ("ExceptionGroup", "group"),
    ]


def test_what_is_no_error_is_refused() -> None:
    for hostile in (5, {}, {"type": 5}, enum):
        with pytest.raises(ReplayError):
            decode_error(hostile)


def test_a_name_is_never_looked_up_outside_the_built_in_errors() -> None:
    back = decode_error({"type": "eval", "module": "builtins", "message": "x"})

    assert isinstance(back, RecordedError)

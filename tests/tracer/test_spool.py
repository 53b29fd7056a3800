"""Undelivered spans on disk: kept whole, sent once the server is back, by this process or the next; damage is said."""

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtrail
from backtrail._delivery import export as _export
from backtrail._delivery.delivery import OtlpDelivery
from backtrail._delivery.parcel import Parcel
from backtrail._delivery.processor import Processor
from backtrail._delivery.spool import Spool
from backtrail._delivery.spool_file import SUFFIX
from backtrail._spans.recorder import Recorder, set_current_recorder
from tests.tracer.receiver import Receiver, receiving

AWAY = "http://127.0.0.1:1/v1/traces"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def parcel(text: str) -> Parcel:
    return Parcel.of(text.encode(), 1)


def bodies(spool: Spool) -> list[str]:
    """Everything in it, newest first, taken out one after the other."""
    found = []
    while (record := spool.last()) is not None:
        read = record.read()
        assert read is not None
        found.append(read.body.decode())
        spool.take_out(record)
    return found


def left_behind(folder: Path, *texts: str) -> Path:
    """The file of a process that is gone."""
    spool = Spool(folder)
    assert spool.append([parcel(text) for text in texts]) == len(texts)
    (file,) = folder.glob(f"*{SUFFIX}")
    spool.close()
    return file


def found(folder: Path) -> Spool:
    spool = Spool(folder)
    spool.take_over()
    return spool


def test_what_a_process_left_is_found_by_the_next_and_the_file_goes_when_it_is_empty(tmp_path: Path) -> None:
    left_behind(tmp_path, "a", "b", "c")

    assert bodies(found(tmp_path)) == ["c", "b", "a"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_sibling_leaves_is_taken_over_while_we_live(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_export, "_SECONDS_BETWEEN_LOOKS", 0.1)
    backtrail.configure(receiver.url, spool_dir=tmp_path)
    program()
    assert backtrail.flush()
    before = len(receiver.spans)
    command = [sys.executable, "-c", PAYING, "http://127.0.0.1:1", str(tmp_path)]
    assert subprocess.run(command, timeout=60).returncode == -9

    deadline = time.monotonic() + 10
    while "pay" not in receiver.names():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    backtrail.shutdown()
    assert len(receiver.spans) > before


def test_a_file_shrinks_as_it_is_sent(tmp_path: Path) -> None:
    file = left_behind(tmp_path, "a", "b", "c")
    spool = found(tmp_path)
    record = spool.last()
    assert record is not None
    spool.take_out(record)
    spool.close()

    assert file.stat().st_size == 2 * (16 + 1)
    assert bodies(found(tmp_path)) == ["b", "a"]


def test_what_is_added_while_the_last_is_being_sent_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([parcel("a"), parcel("b")])
    sending = spool.last()
    assert sending is not None
    spool.append([parcel("c")])
    spool.take_out(sending)

    assert spool.own_span_count == 2
    assert bodies(spool) == ["c", "a"]


def test_nobody_but_its_owner_reads_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    file = left_behind(folder, "secret")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_torn_end_and_garbage_are_said_and_what_is_whole_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = left_behind(tmp_path, "first", "second", "third").read_bytes()
    whole = 16 + len("first")
    damaged = data[:whole] + b"\x00BTS1" * 5 + data[whole:-2]
    for name, content in {
        "1-torn": damaged,
        "2-noise": os.urandom(5_000),
        "3-empty": b"",
        "4-magic": b"BTS1" * 9,
    }.items():
        (tmp_path / f"{name}{SUFFIX}").write_bytes(content)
    next(tmp_path.glob(f"{os.getpid()}-*")).unlink()

    assert sorted(bodies(found(tmp_path))) == ["first", "second"]
    assert list(tmp_path.iterdir()) == []
    assert [record.message.split(" bytes in ")[0] for record in caplog.records] == ["44", "5000", "36"]


def test_a_record_that_changes_on_the_disk_is_not_sent(tmp_path: Path) -> None:
    file = left_behind(tmp_path, "a" * 100)
    spool = found(tmp_path)
    with file.open("r+b") as handle:
        handle.seek(50)
        handle.write(b"x")
    record = spool.last()

    assert record is not None
    assert record.read() is None


def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    (tmp_path / f"1-link{SUFFIX}").symlink_to(victim)
    os.mkfifo(tmp_path / f"2-pipe{SUFFIX}")
    (tmp_path / f"3-folder{SUFFIX}").mkdir()

    assert bodies(found(tmp_path)) == []
    assert victim.read_text() == "keep me"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    alive = Spool(tmp_path)
    alive.append([parcel("mine")])

    assert bodies(found(tmp_path)) == []
    assert bodies(alive) == ["mine"]


def test_the_folder_is_bounded_whoever_writes_into_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_behind(tmp_path, "x" * 1_000)
    spool = Spool(tmp_path, max_bytes=2_000)

    assert spool.append([parcel("y" * 500), parcel("z" * 500)]) == 1
    (line,) = [record.message for record in caplog.records]
    assert line == f"{tmp_path} holds 2000 bytes; no more are kept there"


def test_a_disk_that_cannot_be_written_is_said_and_the_spans_stay_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, data: bytes, place: int) -> int:
        raise OSError(28, "No space left on device")

    spool = Spool(tmp_path)
    spool.append([parcel("before")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert spool.append([parcel("lost?")]) == 0

    assert bodies(spool) == ["before"]
    assert "No space left on device" in caplog.records[0].message


def limit_files_to(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_disk_that_is_nearly_full_keeps_what_fits_and_is_not_written_to_all_the_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    parcels = [parcel(f"{number}" * 1_000) for number in range(10)]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    try:
        limit_files_to(3_500)
        assert spool.append(parcels) == 3
        assert spool.append(parcels[3:]) == 0
        limit_files_to(limit)
        assert spool.append(parcels[3:]) == 0, "it was tried a moment ago"
    finally:
        limit_files_to(limit)

    deadline = time.monotonic() + 10
    while spool.append(parcels[3:]) == 0:
        assert time.monotonic() < deadline, "it was not tried again"
    assert [body[0] for body in bodies(spool)] == list("9876543210")


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_that_somebody_deletes_is_written_again(tmp_path: Path, is_folder: bool) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.append([parcel("first")])

    shutil.rmtree(folder) if is_folder else next(folder.iterdir()).unlink()
    assert spool.append([parcel("second")]) == 1
    assert spool.own_span_count == 2
    spool.close()

    assert bodies(found(folder)) == ["second", "first"]


def test_what_is_deleted_after_the_last_span_is_there_for_the_next_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([parcel("last")])
    next(tmp_path.iterdir()).unlink()

    spool.close()

    assert bodies(found(tmp_path)) == ["last"]


def test_a_spooled_request_that_is_too_large_stays_in_its_file_in_parts(tmp_path: Path) -> None:
    left_behind(tmp_path, "first", "both")
    spool = found(tmp_path)
    record = spool.last()
    assert record is not None

    assert spool.split(record, [parcel("one"), parcel("other")])

    assert spool.own_span_count == 0, "they are another process's"
    assert bodies(spool) == ["other", "one", "first"]


def test_a_folder_that_cannot_be_made_is_an_error_of_configure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ValueError, match=r"spool_dir='.*/file/folder' cannot be made: Not a directory"):
        backtrail.configure(spool_dir=tmp_path / "file" / "folder")


@backtrail.step
def work(number: int) -> int:
    return number


@backtrail.run
def program() -> None:
    for number in range(20):
        work(number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_file_to_the_parent(tmp_path: Path) -> None:
    processor = Processor(OtlpDelivery(AWAY, {}), spool=Spool(tmp_path))
    set_current_recorder(Recorder(sink=processor))
    program()
    assert processor.secure(10)
    pid = os.fork()
    if pid == 0:
        backtrail.run(name="child")(lambda: None)()
        os._exit(0 if processor.secure(10) and len(list(tmp_path.iterdir())) == 2 else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert len(list(tmp_path.iterdir())) == 2, "one file for each process"
    child = found(tmp_path)
    assert child.last() is not None, "that of the child, which is gone"
    child.close()
    set_current_recorder(Recorder())
    processor.shutdown(0.1)


def test_spans_go_to_the_disk_while_the_server_is_away_and_from_there_when_it_is_back(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [503] * 1_000
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), spool=Spool(tmp_path))
    set_current_recorder(Recorder(sink=processor))
    program()
    assert processor.secure(10)
    assert not processor.flush(0.1), "on our disk, and not yet acknowledged"
    receiver.answers.clear()

    assert processor.flush(10)
    assert sorted(receiver.names()).count("work") == 20
    set_current_recorder(Recorder())
    processor.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_does_not_keep_a_span_from_the_disk(receiver: Receiver, tmp_path: Path) -> None:
    receiver.may_answer.clear()
    processor = Processor(OtlpDelivery(f"{receiver.url}/v1/traces", {}), spool=Spool(tmp_path))
    set_current_recorder(Recorder(sink=processor))
    program()

    assert processor.secure(0.5)
    assert receiver.requests == [], "the thread still waits for its answer"
    receiver.may_answer.set()
    assert processor.flush(10)
    assert set(receiver.names()) >= {"program", "work"}
    set_current_recorder(Recorder())
    processor.shutdown()


ENDING = """
import sys, backtrail
backtrail.configure(sys.argv[1], spool_dir=sys.argv[2])
@backtrail.step
def work(n): return n
@backtrail.run(name="first")
def main():
    for n in range(10): work(n)
main()
"""


def test_a_program_ends_soon_and_the_next_one_delivers_what_it_left(receiver: Receiver, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "dev", "-c", ENDING]
    ended = subprocess.run([*command, "http://127.0.0.1:1", tmp_path], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.endswith(
        f"could not be delivered to http://127.0.0.1:1/v1/traces before the end of the program; "
        f"they are kept in {tmp_path}"
    )

    backtrail.configure(receiver.url, spool_dir=tmp_path)
    deadline = time.monotonic() + 10
    while receiver.names().count("work") < 10 or list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    backtrail.shutdown()
    assert "first" in receiver.names()


PAYING = """
import os, sys, backtrail
backtrail.configure(sys.argv[1], spool_dir=sys.argv[2])
@backtrail.step(side_effect="unsafe")
def pay(): os.kill(os.getpid(), 9)
@backtrail.run
def main(): pay()
main()
"""


def test_a_step_with_a_side_effect_is_on_the_disk_before_its_body(receiver: Receiver, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PAYING, "http://127.0.0.1:1", str(tmp_path)]
    assert subprocess.run(command, timeout=60).returncode == -9

    backtrail.configure(receiver.url, spool_dir=tmp_path)
    deadline = time.monotonic() + 10
    while "pay" not in receiver.names():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    backtrail.shutdown()
    (pending,) = [span for span in receiver.spans if span.name == "pay"]
    assert {one.key: one.value.string_value for one in pending.attributes}["backtrail.kind"] == "pending"

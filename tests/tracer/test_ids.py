"""A user's random numbers and our ids know nothing of each other."""

import os
import random

import pytest

from backtrail._spans.ids import PrivateIds


def test_a_seed_of_the_users_does_not_repeat_ids() -> None:
    random.seed(7)
    first = PrivateIds().generate_trace_id()
    random.seed(7)

    assert PrivateIds().generate_trace_id() != first


def test_an_id_takes_nothing_from_the_users_numbers() -> None:
    ids = PrivateIds()
    random.seed(7)
    expected = random.random()
    random.seed(7)
    ids.generate_trace_id()
    ids.generate_span_id()

    assert random.random() == expected


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_draws_other_ids() -> None:
    ids = PrivateIds()
    read_end, write_end = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write_end, ids.generate_trace_id().to_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(read_end, 16) != ids.generate_trace_id().to_bytes(16)
    os.close(read_end)
    os.close(write_end)

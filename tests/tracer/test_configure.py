"""Settings come from arguments, then from OpenTelemetry's variables, then from a default that works."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backtrail
from tests.tracer.receiver import receiving

PROGRAM = """
import json, sys, backtrail
arguments = json.loads(sys.argv[1])
first = backtrail.configure(**arguments)
again = backtrail.configure(**arguments)
assert first is again and backtrail.get_current_client() is first
@backtrail.run
def main(): return backtrail.get_current_run_context().checkpoint_sync("c").is_durable
print(main())
"""


def run_program(arguments: dict[str, object], **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "BACKTRAIL_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**environment, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_otel_variables_are_honoured() -> None:
    with receiving() as receiver:
        printed = run_program(
            {},
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-team=support",
            OTEL_SERVICE_NAME="from-env",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging,service.name=ignored",
        )

        resource = {a.key: a.value.string_value for a in receiver.requests[0].resource_spans[0].resource.attributes}
        assert printed == "True"
        assert resource["service.name"] == "from-env"
        assert resource["deployment.environment.name"] == "staging"
        assert receiver.headers[0]["x-team"] == "support"


def test_arguments_win_over_variables() -> None:
    with receiving() as receiver:
        run_program(
            {"endpoint": receiver.url, "service_name": "given", "service_version": "1.2", "api_key": "k-1"},
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
            OTEL_SERVICE_NAME="from-env",
        )

        resource = {a.key: a.value.string_value for a in receiver.requests[0].resource_spans[0].resource.attributes}
        assert (resource["service.name"], resource["service.version"]) == ("given", "1.2")
        assert receiver.headers[0]["authorization"] == "Bearer k-1"


def test_the_key_is_sent_whatever_stands_in_netrc(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret")
    with receiving() as receiver:
        run_program({"endpoint": receiver.url, "api_key": "k-1"}, NETRC=str(netrc))

        assert receiver.headers[0]["authorization"] == "Bearer k-1"


def test_no_proxy_stands_between_the_program_and_its_own_computer() -> None:
    with receiving() as receiver:
        proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")

        assert run_program({"endpoint": receiver.url}, **proxies) == "True"


def test_an_endpoint_for_traces_is_taken_as_it_is() -> None:
    with receiving() as receiver:
        run_program({}, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces")

        assert receiver.requests


def test_a_disabled_sdk_records_nothing_and_the_program_runs() -> None:
    with receiving() as receiver:
        printed = run_program({"endpoint": receiver.url}, OTEL_SDK_DISABLED="true")

        assert (printed, receiver.requests) == ("False", [])


def test_durability_sync_waits_for_each_step_and_exit_sends_at_the_end() -> None:
    with receiving() as receiver:
        for durability in ("sync", "exit"):
            assert run_program({"endpoint": receiver.url, "durability": durability}) == "True"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": "localhost:4318"}, "an endpoint is a URL such as http://127.0.0.1:4318, not 'localhost:4318'"),
        ({"durability": "fsync"}, "durability is one of async, sync, exit, not 'fsync'"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    before = backtrail.has_active_client()

    with pytest.raises(ValueError, match=words):
        backtrail.configure(**arguments)

    assert backtrail.has_active_client() is before

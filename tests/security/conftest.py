"""A real server with keys: two projects, a key for each right, and what the project `shop` holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.factories import TRACE_ID, otlp_request, run_span, step_span
from tests.security.operator import Operator
from tests.serving import RunningServer, running_server
from tests.waiting import until

PROTOBUF = {"content-type": "application/x-protobuf"}
WRONG_KEY = f"bt_{'0' * 64}"


@dataclass(frozen=True)
class KeyedServer:
    """`keys` by caller; `none` has no key, and `wrong` one that nobody made."""

    server: RunningServer
    operator: Operator
    http: httpx.Client
    keys: Mapping[str, str]

    def request(self, caller: str, method: str, path: str, **request: object) -> httpx.Response:
        key = self.keys[caller]
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= dict(request.pop("headers", {}))  # type: ignore[call-overload]
        return self.http.request(method, path, headers=headers, **request)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedServer]:
    data: Path = tmp_path_factory.mktemp("keyed") / "data"
    with (
        running_server(data) as server,
        Operator(data) as operator,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        for project in ("shop", "other"):
            operator.create_project(project)
        keys = {scope: operator.create_key("shop", scope) for scope in ("ingest", "read", "admin")}
        keys["other"] = operator.create_key("other", "ingest", "read", "admin")
        keys["server"] = operator.create_server_key()
        keyed = KeyedServer(server, operator, http, {"none": "", "wrong": WRONG_KEY, **keys})
        body = otlp_request(run_span("of the shop"), step_span()).SerializeToString()
        assert keyed.request("ingest", "POST", "/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        until(lambda: keyed.request("read", "GET", f"/api/v1/runs/{TRACE_ID.hex()}").is_success)
        yield keyed

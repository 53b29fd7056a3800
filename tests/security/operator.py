"""Who may write the data folder: speaks to its server through the control socket."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx


class Operator:
    def __init__(self, data: Path) -> None:
        transport = httpx.HTTPTransport(uds=str(data / "control.sock"))
        self._http = httpx.Client(transport=transport, base_url="http://localhost", timeout=30)

    def ask(self, method: str, path: str, json: object = None, *, unless_there: bool = False) -> Any:
        answer = self._http.request(method, path, json=json)
        assert answer.is_success or (unless_there and answer.status_code == 409), answer.text
        return answer.json()

    def create_project(self, name: str) -> None:
        self.ask("POST", "/api/v1/projects", {"name": name})

    def create_key(self, project: str, *scopes: str, **more: str) -> str:
        new: Mapping[str, object] = {"name": f"{project} {scopes}", "scopes": scopes, **more}
        return str(self.ask("POST", f"/api/v1/projects/{project}/keys", new)["key"])

    def create_server_key(self) -> str:
        return str(self.ask("POST", "/api/v1/keys", {"name": "server"})["key"])

    def key_id(self, key: str) -> str:
        keys = self.ask("GET", "/api/v1/keys")["keys"]
        return next(str(each["id"]) for each in keys if key.startswith(each["prefix"]))

    def revoke(self, key: str) -> None:
        self.ask("DELETE", f"/api/v1/keys/{self.key_id(key)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

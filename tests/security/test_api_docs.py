"""The page about the API, where keys are typed in, asks nobody else for anything."""

import re

import httpx

from tests.security.conftest import KeyedServer


def test_the_page_loads_its_scripts_from_this_server_alone(keyed: KeyedServer) -> None:
    page = httpx.get(f"{keyed.server.url}/docs")
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert len(addresses) == 3
    for address in addresses:
        assert httpx.get(f"{keyed.server.url}{address}").status_code == 200


def test_nothing_else_of_that_folder_is_served(keyed: KeyedServer) -> None:
    assert httpx.get(f"{keyed.server.url}/docs/redoc.standalone.js").status_code == 422
    assert httpx.get(f"{keyed.server.url}/docs/..%2F__init__.py").status_code in (401, 422)

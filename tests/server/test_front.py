"""What is said to whoever opens the server's address."""

from pathlib import Path

import httpx

from tests.serving import running_server


def test_a_browser_is_shown_a_page_without_scripts_and_a_program_gets_json(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        page = httpx.get(server.url, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        places = httpx.get(server.url)
        linked = [
            httpx.get(f"{server.url}/{name}").status_code for name in ("docs", "openapi.json", "readyz", "healthz")
        ]

    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "backtrail runs" in page.text
    assert "<script" not in page.text
    assert places.json()["api"] == "/api/v1"
    assert places.headers["vary"] == "accept"
    assert linked == [200] * 4

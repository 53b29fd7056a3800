"""Addresses of stores, as people write them."""

from pathlib import Path

import pytest

from backtrail_store import UnknownStoreScheme, open_store, without_password
from backtrail_store.address import Address, parse_address


@pytest.mark.parametrize(
    ("dsn", "address"),
    [
        ("chdb:///var/lib/x", Address(database="backtrail", folder=Path("/var/lib/x"))),
        ("chdb:///a%20b?database=d", Address(database="d", folder=Path("/a b"))),
        ("clickhouse://h", Address(database="backtrail", host="h", port=8123)),
        (
            "clickhouse://u%40x:p%2Fw@h:9/db",
            Address(database="db", host="h", port=9, username="u@x", password="p/w"),
        ),
        ("clickhouses://h/db", Address(database="db", host="h", port=8443, secure=True)),
        ("clickhouse://h/db?secure=true", Address(database="db", host="h", port=8443, secure=True)),
        (
            "clickhouse://[::1]:9/db?secure=1&verify=no&connect_timeout=2&read_timeout=30&compression=none&cluster=main",
            Address(
                database="db",
                host="::1",
                port=9,
                secure=True,
                verify=False,
                connect_timeout=2,
                read_timeout=30,
                is_compressed=False,
                cluster="main",
            ),
        ),
        (f"clickhouses://h?ca_cert={__file__}", Address("backtrail", None, "h", 8443, secure=True, ca_cert=__file__)),
    ],
)
def test_an_address_is_taken_apart(dsn: str, address: Address) -> None:
    assert parse_address(dsn) == address


def test_a_cluster_may_be_named_beside_the_address() -> None:
    assert parse_address("clickhouse://h", cluster="main").cluster == "main"
    assert parse_address("clickhouse://h?cluster=main", cluster="main").cluster == "main"
    with pytest.raises(UnknownStoreScheme, match="the cluster 'main', and the setting 'other'"):
        parse_address("clickhouse://h?cluster=main", cluster="other")
    with pytest.raises(UnknownStoreScheme, match="in no cluster"):
        parse_address("chdb:///x", cluster="main")


@pytest.mark.parametrize("dsn", ["postgres://h", "/just/a/path", "", "chdb:", "chdb://"])
def test_an_unknown_scheme_is_refused_with_what_to_write(dsn: str) -> None:
    with pytest.raises(UnknownStoreScheme, match="write chdb:///path/to/folder"), open_store(dsn):
        pass


@pytest.mark.parametrize(
    ("dsn", "complaint"),
    [
        ("clickhouse://host:eighty/db", "no port"),
        ("clickhouse://[::1/db", "cannot be read"),
        (
            "clickhouse://h/db?sslmode=off",
            "unknown parameter sslmode; known are secure, verify, ca_cert, connect_timeout",
        ),
        ("chdb:///x?secure=true", "unknown parameter secure; known are database"),
        ("clickhouse://h?secure=maybe", "secure='maybe' .* write true or false"),
        ("clickhouse://h?secure=true&secure=false", "gives a parameter twice"),
        ("clickhouse://h?read_timeout=soon", "read_timeout='soon' .* write whole seconds"),
        ("clickhouse://h?connect_timeout=0", "connect_timeout='0' .* 1 to 3600"),
        ("clickhouse://h?compression=snappy", "compression='snappy' .* write lz4 or none"),
        ("clickhouse://h?verify=false", "about TLS; write secure=true"),
        ("clickhouses://h?ca_cert=/nowhere.pem", "ca_cert='/nowhere.pem' .* no file"),
        ("clickhouse://a:1,b:2/db", "several hosts; name one, of a load balancer"),
        ("clickhouse://h/db/table", "'db/table' .* no name of a database"),
        ("chdb:///x?database=a`b", "no name of a database"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(dsn: str, complaint: str) -> None:
    with pytest.raises(UnknownStoreScheme, match=complaint):
        parse_address(dsn)


@pytest.mark.parametrize("secret", ["geheim", "ge/heim", "ge#heim", "ge?heim", "ge@heim", "ge:heim", "a/9/geheim"])
@pytest.mark.parametrize("scheme", ["clickhouse", "clickhouses", "clickhous", "postgres"])
@pytest.mark.parametrize("end", ["h:8123/db", "h:x/db", "h/a/b", "h?what=1", "a,b/db", "h?read_timeout=x"])
def test_a_password_is_never_quoted(scheme: str, secret: str, end: str) -> None:
    dsn = f"{scheme}://user:{secret}@{end}"
    try:
        said = repr(parse_address(dsn))
    except UnknownStoreScheme as error:
        said = str(error)

    assert "heim" not in said
    assert without_password(dsn) == f"{scheme}://{end}"

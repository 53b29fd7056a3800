"""Prices of one's own from a YAML file: read at the start, and again whenever it has changed.

    setting BACKTRAIL_PRICES → **price_file** → given_prices → store.prices

At the start a file that cannot be read is a reason not to serve. Later it is a line in the log, and what was read
before stands.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from backtrail_server.beside import repeated
from backtrail_server.errors import CannotStart
from backtrail_server.given_prices import GivenPrice
from backtrail_store import PriceRule, Store, StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2
EXAMPLE = "prices: [{model: gpt-4o*, input: 2.5, output: 10}]"


class BadPriceFile(CannotStart):
    """The message says where in the file what is wrong."""


class PriceLoader(yaml.SafeLoader):
    """Numbers as they are written: 0.1 is a tenth."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | str:
    try:
        return Decimal(node.value.replace("_", ""))
    except InvalidOperation:
        return str(node.value)  # .inf and .nan, which no price is


PriceLoader.add_constructor("tag:yaml.org,2002:float", _decimal)


class PriceFile:
    """Raises BadPriceFile if it cannot be read now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_as = self._state()
        self._rules = read_price_file(path)

    def kept(self, store: Store) -> AbstractAsyncContextManager[None]:
        """What it says is in the store when this is entered, and what it will say soon after."""
        store.prices.replace("file", self._rules)
        return repeated(lambda: self._look(store), pause=PAUSE_SECONDS)

    def _look(self, store: Store) -> None:
        state = self._state()
        if state == self._read_as:
            return
        try:
            if store.prices.replace("file", read_price_file(self._path)):
                logger.warning("prices have changed to what %s says now", self._path)
        except StoreError as error:
            logger.warning("prices of %s could not be stored, and will be: %s", self._path, error)
            return
        except BadPriceFile as error:
            logger.warning("prices stay as they were: %s", error)
        self._read_as = state

    def _state(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def price_file(setting: str) -> PriceFile | None:
    """Raises BadPriceFile if there is to be one and it cannot be read."""
    return PriceFile(Path(setting).expanduser()) if setting else None


def prices_of(file: PriceFile | None, store: Store) -> AbstractAsyncContextManager[None]:
    """Of a file that was once read and is not named any more nothing is left."""
    if file is not None:
        return file.kept(store)
    store.prices.replace("file", ())
    return nullcontext()


def read_price_file(path: Path) -> list[PriceRule]:
    """Raises BadPriceFile."""
    return [price.rule(price.project or "") for price in read_prices(path)]


def read_prices(path: Path) -> list[GivenPrice]:
    """Raises BadPriceFile."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadPriceFile(f"the prices in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadPriceFile(f"the prices in {path} cannot be read: it is not UTF-8 at byte {error.start}") from error
    try:
        return _prices(PriceLoader(text), path)
    except yaml.MarkedYAMLError as error:
        raise _bad(path, error.problem_mark, f"this is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise BadPriceFile(f"{path} is no YAML: {' '.join(str(error).split())}") from error


def _prices(loader: PriceLoader, path: Path) -> list[GivenPrice]:
    root = loader.get_single_node()
    if root is None:
        return []
    members = _members(root, path)
    if unknown := [name for name in members if name != "prices"]:
        raise _bad(path, members[unknown[0]].start_mark, f"{unknown[0]} is not known here; write {EXAMPLE}")
    listed = members.get("prices")
    if not isinstance(listed, yaml.SequenceNode):
        raise _bad(path, (listed or root).start_mark, f"prices: a list is wanted; write {EXAMPLE}")
    prices: list[GivenPrice] = []
    lines: dict[object, int] = {}
    for node in listed.value:
        _members(node, path)
        price = _price(loader.construct_document(node), node, path)
        identity = price.rule(price.project or "").identity
        if identity in lines:
            raise _bad(
                path,
                node.start_mark,
                f"model: {price.model!r} of the same provider, project and day is in line {lines[identity]} too",
            )
        lines[identity] = node.start_mark.line + 1
        prices.append(price)
    return prices


def _members(node: yaml.Node, path: Path) -> dict[str, yaml.Node]:
    """A mapping's values by name. Of a name that stands twice nobody knows which is meant."""
    if not isinstance(node, yaml.MappingNode):
        raise _bad(path, node.start_mark, f"names and values are wanted; write {EXAMPLE}")
    members: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.value in members:
            raise _bad(path, key.start_mark, f"{key.value} stands here twice")
        members[str(key.value)] = value
    return members


def _price(given: object, node: yaml.Node, path: Path) -> GivenPrice:
    try:
        return GivenPrice.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where: Sequence[int | str] = fault["loc"]
        name = ".".join(map(str, where)) or "price"
        message = f"{name}: {fault['msg'].removeprefix('Value error, ')}" + _seen(fault["input"], where)
        raise _bad(path, _node_at(node, where).start_mark, message) from error


def _seen(value: object, where: Sequence[int | str]) -> str:
    return f", not {value}" if where and isinstance(value, str | int | Decimal) else ""


def _node_at(node: yaml.Node, where: Sequence[int | str]) -> yaml.Node:
    """The deepest there is on the way: of what is missing, what should hold it."""
    for step in where:
        inner: Mapping[Any, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            inner = {key.value: value for key, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            inner = dict(enumerate(node.value))
        if step not in inner:
            break
        node = inner[step]
    return node


def _bad(path: Path, mark: yaml.Mark | None, message: str) -> BadPriceFile:
    line = f", line {mark.line + 1}" if mark is not None else ""
    return BadPriceFile(f"{path}{line}: {message}")

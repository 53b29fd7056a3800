"""The price table: every name that has a price, kept as the package and the users say.

    package, rules → **table** → model_prices → dictionary → backtrail_cost

Names that the package spells out have their rows from the start; others, known by a pattern of the package or of a
user, get theirs when a span has brought them. Whatever changes a price writes all rows that it is about, and from then
on these count, for the past too.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from backtrail_store.client import ClientPool
from backtrail_store.prices.in_use import Models, model_row
from backtrail_store.prices.package import package_names, package_periods, package_version
from backtrail_store.prices.rates import EVERYBODY, PACKAGE, Name, Period, Row
from backtrail_store.prices.rules import Origin, PriceRule, named, user_periods
from backtrail_store.questions import ask
from backtrail_store.rewritten import rows_of

MOST_NEW_NAMES = 10_000  # that are asked about at once: somebody may send a name of its own with each span
MOST_NAMES = 1_000_000

_RULE = TypeAdapter(PriceRule)
_HISTORY = TypeAdapter(tuple[Period, ...])

Rules = Mapping[str, list[PriceRule]]  # by whose word they are


class PriceTable:
    """Safe to share between threads; one at a time changes it."""

    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients
        self._changing = threading.Lock()

    def seed(self) -> int:
        """Writes what the package says unless this version of it has been, and what users said: a change of theirs may
        have been cut off. Returns the number of rows written."""
        with self._changing:
            rules, known = self._rules(), self._rows()
            is_seeded = bool(self._ask("is_seeded", package=package_version()))
            if is_seeded and not rules:
                return 0
            names = {name for _, name in known} | self._names_in_spans(0)
            rows: dict[Row, tuple[Period, ...]] = {}
            if not is_seeded:
                names |= set(package_names())
                rows = {(PACKAGE, name): package_periods(name) for name in names}
            return self._write(rows | _users_rows(rules, names), known)

    def learn(self, *, since_unix_nano: int) -> int:
        """Prices names that spans received since then have brought, where anybody knows them."""
        with self._changing:
            names = self._names_in_spans(since_unix_nano, only_new=True, limit=MOST_NEW_NAMES)
            rows = {(PACKAGE, name): package_periods(name) for name in names}
            rows |= _users_rows(self._rules(), names)
            if not any(rows.values()):
                return 0
            known = self._rows()
            return self._write({row: periods for row, periods in rows.items() if row not in known}, known)

    def list(self) -> list[PriceRule]:
        """What users said, by project, provider, model and day. Raises StoreUnavailable."""
        return [_rule(row) for row in rows_of(self._clients, "list_price_rules")]

    def put(self, rules: Collection[PriceRule]) -> None:
        """Each takes the place of the one with the same identity."""
        self._change(rules, ())

    def remove(self, rules: Collection[PriceRule]) -> None:
        self._change((), rules)

    def replace(self, origin: Origin, rules: Collection[PriceRule]) -> bool:
        """These are all that come from there. Returns whether anything has changed."""
        wanted = {rule.identity: replace(rule, origin=origin) for rule in rules}
        known = {rule.identity: rule for rule in self.list()}
        gone = [rule for rule in known.values() if rule.origin == origin and rule.identity not in wanted]
        new = [rule for rule in wanted.values() if known.get(rule.identity) != rule]
        if gone or new:
            self._change(new, gone)
        return bool(gone or new)

    def drop_project(self, project: str) -> None:
        self.remove([rule for rule in self.list() if rule.project == project])

    def periods(self, project: str, names: Iterable[Name]) -> dict[Row, tuple[Period, ...]]:
        """What the table says of them for a project: by its own word, by everybody's and by the package's."""
        asked = set(names)
        providers, models = [provider for provider, _ in asked], [model for _, model in asked]
        return {
            (whose, (provider, model)): _HISTORY.validate_python(history)
            for whose, provider, model, history in self._ask(
                "list_model_prices", project=project, providers=providers, models=models
            )
        }

    def list_models(self, project: str, *, start: int, end: int, limit: int) -> Models:
        """Each model that spans begun in this time used; those of which most wait for a price first."""
        found = list(self._ask("list_models", project=project, start=start, end=end, limit=limit))
        periods = self.periods(project, [(provider, model) for provider, model, *_ in found])
        now = datetime.now(UTC)
        return [model_row(columns, project, periods, now) for columns in found]

    def _change(self, put: Collection[PriceRule], removed: Collection[PriceRule]) -> None:
        if not put and not removed:
            return
        with self._changing:
            said = [_said(rule) for rule in put] + [_said(rule, is_deleted=True) for rule in removed]
            self._insert("price_rules", said)
            rules, known = self._rules(), self._rows()
            names = {name for _, name in known} | self._names_in_spans(0)
            changed = {rule.project or EVERYBODY for rule in (*put, *removed)}
            self._write(_users_rows({whose: rules.get(whose, []) for whose in changed}, names), known)

    def _rules(self) -> Rules:
        rules = defaultdict(list)
        for rule in self.list():
            rules[rule.project or EVERYBODY].append(rule)
        return rules

    def _rows(self) -> set[Row]:
        return {(whose, (provider, model)) for whose, provider, model in self._ask("priced_names")}

    def _names_in_spans(self, since_unix_nano: int, *, only_new: bool = False, limit: int = MOST_NAMES) -> set[Name]:
        """Of spans received since then; new are those for which the package's word is not in the table."""
        asked = {"since": since_unix_nano, "only_new": only_new, "limit": limit}
        return {(provider, model) for provider, model in self._ask("names_in_spans", **asked)}

    def _write(self, rows: Mapping[Row, tuple[Period, ...]], known: Collection[Row]) -> int:
        """What has no price loses its row, and what never had one gets none."""
        lines = [_line(row, periods) for row, periods in rows.items() if periods or row in known]
        if lines:
            self._insert("model_prices", lines)
            with self._clients.borrow() as client:
                client.command("SYSTEM RELOAD DICTIONARY prices")
        return len(lines)

    def _insert(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        with self._clients.borrow() as client:
            # Not the time alone: clocks are set back, and several processes have several.
            last = client.query(f"SELECT max(version) FROM {table}").result_rows[0][0]
            version = max(time.time_ns(), last + 1)
            # As text: inserting Python lists would import pandas and keep 75 MB for it.
            block = b"\n".join(to_json({**row, "version": version}) for row in rows)
            client.raw_insert(table, insert_block=block, fmt="JSONEachRow")

    def _ask(self, query: str, /, **parameters: Any) -> Iterable[Any]:
        return ask(self._clients, query, **parameters).result_rows


def _users_rows(rules: Rules, names: Collection[Name]) -> dict[Row, tuple[Period, ...]]:
    """By each word what it says of these names, and of those that it spells out."""
    return {(whose, name): user_periods(of, name) for whose, of in rules.items() for name in {*names, *named(of)}}


def _line(row: Row, periods: tuple[Period, ...]) -> dict[str, object]:
    whose, (provider, model) = row
    return {
        "project": whose,
        "provider": provider,
        "model": model,
        "package": package_version(),
        "history": periods,
        "is_deleted": int(not periods),
    }


def _said(rule: PriceRule, *, is_deleted: bool = False) -> dict[str, object]:
    return {
        "project": rule.project,
        "provider": rule.provider,
        "model": rule.model,
        "valid_from": rule.valid_from,
        "origin": rule.origin,
        "price": to_json({"prices": rule.prices, "tiers": rule.tiers}).decode(),
        "is_deleted": int(is_deleted),
    }


def _rule(columns: Mapping[str, Any]) -> PriceRule:
    price = from_json(columns["price"])
    return _RULE.validate_python({**columns, **price})

"""Finds a request's route before the router does, in the router's own order, and knows which right it asks for.

policy, app → **routes** → gate

A request that no route is for stays here too: nothing reaches the router that was not looked up in the policy.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from backtrail_server.auth.policy import ROUTES, UNKNOWN, Access


class RouteWithoutPolicy(Exception):
    """A route is served of which the policy says nothing. Add it there: the app does not start without."""


@dataclass(frozen=True, slots=True)
class Found:
    """`other_methods` are those the path has when it does not have this one; then nothing is served."""

    access: Access
    what: str
    is_served: bool
    other_methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownRoute:
    method: str
    pattern: re.Pattern[str]
    found: Found


class Routes:
    def __init__(self, app: FastAPI) -> None:
        """Raises RouteWithoutPolicy."""
        self.known = [_known(method, path) for method, path in routes_of(app)]

    def find(self, method: str, path: str) -> Found:
        for route in self.known:
            if route.method == method and route.pattern.match(path):
                return route.found
        others = tuple(route.method for route in self.known if route.pattern.match(path))
        return Found(UNKNOWN, "this path", is_served=False, other_methods=others)


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path that is served, in the order in which the router looks for them."""
    for route in iter_route_contexts(app.router.routes):
        if route.path is None or not route.methods:
            raise RouteWithoutPolicy(f"{route.name or route.path or route} has no methods that a policy could name")
        for method in sorted(route.methods):
            yield method, route.path


def _known(method: str, path: str) -> KnownRoute:
    try:
        access = ROUTES[method, path]
    except KeyError as error:
        raise RouteWithoutPolicy(
            f"{method} {path} is not in the policy: say in auth/policy.py what it takes"
        ) from error
    return KnownRoute(method, compile_path(path)[0], Found(access, f"{method} {path}", is_served=True))

"""What `run(…)`, `agent(…)` and `step(…)` make: one object each, a decorator and a block.

    user's function → **spec** → start_run, plan_agent, StepPlan.begin → user's function → their end

A call is named and numbered in a plain `def`, at the moment it is made: when a coroutine first runs
is up to the scheduler. Our bookkeeping stands inside `never_raise`; the user's function does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from backtrail._boundary import never_raise
from backtrail._contexts.agent_context import AgentContext
from backtrail._contexts.call_context import (
    HandedOver,
    carried_on,
    check_context,
    context_for,
    context_of,
    given_context,
    query_of,
    swapped,
)
from backtrail._contexts.run_context import RunContext
from backtrail._contexts.step_context import StepContext
from backtrail._interceptors.intercepted import StandIn
from backtrail._interceptors.interceptors import Interceptor
from backtrail._payloads.capture import Capture, capture_of
from backtrail._payloads.codec import encode
from backtrail._replay.replayed_step import attend
from backtrail._runs.agents import join_as_agent, plan_agent
from backtrail._runs.run_call import RunCall
from backtrail._runs.runs import start_run
from backtrail._runs.scope import Position, current_position
from backtrail._runs.steps import SideEffect, StepKind, StepPlan, side_effect_of
from backtrail._streams.streams import nature_of
from backtrail.errors import ReplayError

from .attempts import repeated
from .calls import Opening, acknowledge, wrap
from .coroutines import is_coroutine_function
from .detached import detached_position
from .modules import module_name, name_of, qualname_of
from .retries import Backoff, RetryOn, retries_of
from .signature import Signature
from .spec import AgentLikeSpec, StepLikeSpec
from .unrecorded import Unrecorded

if TYPE_CHECKING:
    from backtrail.client import Client


class RunSpec(AgentLikeSpec[RunContext]):
    """What `run(…)` makes: decorate with it, or `with run("nightly") as ctx:`."""

    def __init__(
        self,
        name: str | None = None,
        *,
        query: str | None = None,
        context: HandedOver = None,
        state: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        input: Any = None,
        joins: bool = True,
        client: Client | None = None,
        interceptors: Iterable[Interceptor] = (),
    ) -> None:
        super().__init__(name, interceptors)
        check_context(context)
        self._client = client
        self._query = query
        self._context = context
        self._state = state
        self._conversation_id = conversation_id
        self._input = input
        self._joins = joins

    def _decorate(self, function: Callable[..., Any]) -> Any:
        signature = Signature(function)
        signature.check_names(*([self._query] if self._query is not None else []))
        name = self._name or name_of(function)
        entrypoint = f"{module_name(function)}:{qualname_of(function)}"

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Opening:
            given = given_context(signature, args, kwargs, options)
            current = current_position.get()
            inputs = signature.bind(args, kwargs)
            conversation_id = options.get("conversation_id") or self._conversation_id
            opening = carried_on(given, options.get("state", self._state), conversation_id)
            if (agent := self._join(current, name, given, opening["state"], inputs)) is not None:
                args, kwargs = swapped(given, agent.run_context, args, kwargs)
                return agent, *signature.inject(args, kwargs, agent.provide)
            runtime = start_run(
                name,
                context_for(context_of(given), current.context if current else None),
                query=query_of(inputs, self._query),
                input_json=signature.without_defaults(encode(inputs).json),
                **opening,
                entrypoint=entrypoint,
                code_hash=signature.code_hash,
                interceptors=self._interceptors,
            )
            call = RunCall(runtime)
            args, kwargs = swapped(given, runtime.context, args, kwargs)
            return call, *signature.inject(args, kwargs, call.provide)

        stand_in = partial(StandIn, "run", name, self._interceptors)
        return wrap(function, signature, begin, stand_in=stand_in, begins_when_awaited=True)

    def _join(
        self, current: Position | None, name: str, given: HandedOver, state: dict[str, Any] | None, inputs: Any
    ) -> AgentContext | None:
        """Where another process called, a run is an agent of that one's run."""
        if current is None or not self._joins or not current.runtime.is_entrance(current):
            return None
        context = context_for(context_of(given), current.context) if given is not None else None
        return join_as_agent(current, name, context, state, inputs, self._interceptors)

    def _open(self) -> RunContext:
        current, given = current_position.get(), self._context
        opening = carried_on(given, self._state, self._conversation_id)
        with never_raise("starting a run"):
            if (agent := self._join(current, self._name or "run", given, opening["state"], self._input)) is not None:
                agent.enter()
                self._keep(agent, self._input)
                return agent.run_context
            runtime = start_run(
                self._name or "run",
                context_for(context_of(given), current.context if current else None),
                query=self._query or "",
                input_json=encode(self._input).json,
                **opening,
                interceptors=self._interceptors,
            )
            runtime.client = self._client
            call = RunCall(runtime)
            call.enter()
            self._keep(call, self._input)
            return runtime.context
        self._keep_nothing("run", self._input)
        return context_of(given) or RunContext()


class AgentSpec(AgentLikeSpec[AgentContext]):
    """What `agent(…)` makes: decorate with it, or `with agent("researcher") as me:`."""

    def __init__(
        self,
        name: str | None = None,
        *,
        config_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        interceptors: Iterable[Interceptor] = (),
    ) -> None:
        super().__init__(name, interceptors)
        self._config_id = config_id
        self._metadata = metadata

    def _decorate(self, function: Callable[..., Any]) -> Any:
        signature = Signature(function)
        name = self._name or name_of(function)

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Opening | None:
            position = current_position.get()
            if position is None:
                return None
            given = given_context(signature, args, kwargs, options)
            context = context_for(context_of(given), position.context)
            inputs = signature.bind(args, kwargs)
            activity = plan_agent(
                position,
                name,
                context=context if given is not None else None,
                config_id=self._config_id,
                metadata=self._metadata,
                input_json=signature.without_defaults(encode(inputs).json),
            )
            activity.interceptors += self._interceptors
            args, kwargs = swapped(given, activity.run_context, args, kwargs)
            return activity, *signature.inject(args, kwargs, activity.provide)

        # An agent that is called outside a run is one.
        stand_in = partial(StandIn, "agent", name, self._interceptors)
        return wrap(function, signature, begin, stand_in=stand_in, outside=lambda wrapper: RunSpec(name)(wrapper))

    def _open(self) -> AgentContext:
        with never_raise("starting an agent"):
            position = current_position.get()
            if position is not None:
                agent = plan_agent(position, self._name or "agent", config_id=self._config_id, metadata=self._metadata)
                agent.interceptors += self._interceptors
                agent.enter()
                self._keep(agent)
                return agent
        self._keep_nothing("agent")
        return plan_agent(detached_position(), self._name or "agent")


class StepSpec(StepLikeSpec[StepContext]):
    """What `step(…)` makes: decorate with it, or `with step("search", kind="tool") as this:`."""

    def __init__(
        self,
        name: str | None = None,
        *,
        kind: StepKind | str = StepKind.CUSTOM,
        key: str | Callable[..., str] | None = None,
        version: str | None = None,
        ignore: str | Collection[str] = (),
        side_effect: SideEffect = "none",
        result_type: Any = None,
        raises: type[BaseException] | tuple[type[BaseException], ...] = (),
        stream: bool | None = None,
        retries: int = 0,
        retry_on: RetryOn = (Exception,),
        backoff: Backoff = 0.5,
        capture: Capture | bool = "all",
        input: Any = None,
    ) -> None:
        super().__init__(name)
        self._stream = stream
        self._kind = StepKind(kind)
        self._key = key
        self._version = version
        self._ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        self._side_effect = side_effect_of(side_effect)
        self._result_type = result_type
        self._raises = (raises,) if isinstance(raises, type) else tuple(raises)
        self._retries = retries_of(retries, retry_on, backoff)
        self._capture = capture_of(capture)
        self._input = input

    def _plan(self, name: str, signature: Signature | None) -> StepPlan:
        return StepPlan(
            name,
            self._kind,
            key=self._key,
            version=self._version,
            hash_excluded=signature.hash_excluded if signature else (),
            side_effect=self._side_effect,
            capture=self._capture,
            result_type=self._result_type if self._result_type is not None else signature and signature.return_hint,
            raises=self._raises,
            code_hash=signature.code_hash if signature else None,
            has_retries=self._retries is not None,
        )

    def _decorate(self, function: Callable[..., Any]) -> Any:
        signature = Signature(function, self._ignore)
        name = self._name or name_of(function)
        plan: StepPlan | None = None
        is_unrecorded = self._capture == "none"

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Opening | None:
            nonlocal plan
            position = current_position.get()
            if position is None:
                return None
            if is_unrecorded:
                unrecorded = Unrecorded(position, name)
                return unrecorded, *signature.inject(args, kwargs, unrecorded.provide)
            if plan is None:
                plan = self._plan(name, signature)
            activity = plan.begin(position, signature.bind(args, kwargs), signature.without_defaults)
            if signature.contexts:
                args, kwargs = signature.inject(args, kwargs, activity.provide)
            return activity, args, kwargs

        body = None
        if self._retries is not None:
            is_async = is_coroutine_function(function)
            gives_items = nature_of(function, self._stream, is_async=is_async) is not None
            body = repeated(function, self._retries, is_async=is_async, gives_items=gives_items)
        stand_in = partial(StandIn, "step", name)
        return wrap(function, signature, begin, stand_in=stand_in, body=body, stream=self._stream)

    def _open(self) -> StepContext:
        if self._retries is not None:
            raise TypeError("a block runs once; retries= is for a decorated function")
        position = current_position.get() if self._capture != "none" else None
        name, activity = self._name or "step", None
        with never_raise("naming a step", lets=(ReplayError,)):
            if position is not None:
                planned = self._plan(name, None).begin(position, self._input)
                attend(planned)
                activity = planned
        if activity is None:
            self._keep_nothing("step", self._input)
            return self._plan(name, None).begin(detached_position(), None)
        with never_raise("starting a step"):
            activity.enter()
            if activity.waits_before:
                acknowledge(activity)
        self._keep(activity, self._input)
        return activity

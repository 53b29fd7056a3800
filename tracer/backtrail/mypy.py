"""For mypy: calls of decorated functions are checked, with the contexts that are filled in left out.

    [tool.mypy]
    plugins = ["backtrail.mypy"]

Without it mypy infers what a call gives back, and does not look at most of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import ARG_NAMED, ARG_NAMED_OPT, ARG_OPT, ARG_POS, ARG_STAR2, ArgKind, TempNode
from mypy.plugin import MethodSigContext, Plugin
from mypy.subtypes import is_subtype
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    NoneType,
    Parameters,
    Type,
    TypeOfAny,
    TypeType,
    UnionType,
    get_proper_type,
)

_DECORATED = ("backtrail._calls.decorated.Decorated", "backtrail._calls.decorated.DecoratedAgent")
_CONTEXTS = {
    "backtrail._contexts.run_context.RunContext",
    "backtrail._contexts.agent_context.AgentContext",
    "backtrail._contexts.step_context.StepContext",
    "backtrail._contexts.tool_context.ToolContext",
}

Argument = tuple[Type, ArgKind, str | None]


class DecoratedPlugin(Plugin):
    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        owner, _, name = fullname.rpartition(".")
        return {"__call__": exact_call, "__get__": exact_method}.get(name) if owner in _DECORATED else None


def exact_call(call: MethodSigContext) -> FunctionLike:
    """One overload as it may be called. The first says every parameter, the others leave the contexts out."""
    signature, parameters = call.default_signature, _parameters(call.type)
    if parameters is None:
        return signature
    if signature.arg_names == parameters.arg_names:
        return signature.copy_modified(arg_kinds=_kinds(parameters))
    arguments: list[Argument] = list(zip(parameters.arg_types, parameters.arg_kinds, parameters.arg_names, strict=True))
    asked = [argument for argument in arguments if not _is_context(argument[0])]
    by_name = [(hint, ARG_NAMED_OPT, name) for hint, _, name in arguments if _is_context(hint)]
    if "context" in signature.arg_names:
        by_name.append((signature.arg_types[signature.arg_names.index("context")], ARG_NAMED, "context"))
    return _with(signature, parameters, sorted([*asked, *by_name], key=lambda argument: argument[1] is ARG_STAR2))


def _with(signature: CallableType, parameters: Parameters, arguments: list[Argument]) -> CallableType:
    return signature.copy_modified(
        arg_types=[hint for hint, _, _ in arguments],
        arg_kinds=[kind for _, kind, _ in arguments],
        arg_names=[name for _, _, name in arguments],
        variables=parameters.variables,
    )


def exact_method(asked: MethodSigContext) -> FunctionLike:
    """What is found under a method's name, in an object or its class: without the parameter that this one fills."""
    signature, decorated, parameters = asked.default_signature, get_proper_type(asked.type), _parameters(asked.type)
    if not isinstance(decorated, Instance) or parameters is None:
        return signature
    instance, owner = (get_proper_type(node.type) for (node,) in asked.args if isinstance(node, TempNode))
    found: Type = decorated
    if parameters.arg_kinds and parameters.arg_kinds[0].is_positional():
        first = get_proper_type(parameters.arg_types[0])
        receiver = owner if isinstance(first, TypeType) else instance
        if not isinstance(receiver, NoneType) and is_subtype(receiver, first):
            rest = parameters.copy_modified(
                arg_types=parameters.arg_types[1:],
                arg_kinds=parameters.arg_kinds[1:],
                arg_names=parameters.arg_names[1:],
            )
            found = decorated.copy_modified(args=[rest, decorated.args[1]])
    anything = AnyType(TypeOfAny.special_form)
    return signature.copy_modified(arg_types=[anything, anything], ret_type=found, variables=[])


def _parameters(decorated: Type) -> Parameters | None:
    """What the function takes; None where mypy does not know."""
    proper = get_proper_type(decorated)
    parameters = get_proper_type(proper.args[0]) if isinstance(proper, Instance) else None
    return parameters if isinstance(parameters, Parameters) and not parameters.is_ellipsis_args else None


def _kinds(parameters: Parameters) -> list[ArgKind]:
    """The parameters' kinds, contexts optional, except where one stands before others that are not."""
    kinds: list[ArgKind] = []
    may_stop = True
    for hint, kind in zip(reversed(parameters.arg_types), reversed(parameters.arg_kinds), strict=True):
        if kind is ARG_NAMED and _is_context(hint):
            kind = ARG_NAMED_OPT
        elif kind is ARG_POS and may_stop:
            kind = ARG_OPT if _is_context(hint) else ARG_POS
            may_stop = kind is ARG_OPT
        kinds.insert(0, kind)
    return kinds


def _is_context(hint: Type) -> bool:
    proper = get_proper_type(hint)
    if isinstance(proper, UnionType):
        return any(map(_is_context, proper.items))
    return isinstance(proper, Instance) and any(base.fullname in _CONTEXTS for base in proper.type.mro)


def plugin(version: str) -> type[Plugin]:
    return DecoratedPlugin

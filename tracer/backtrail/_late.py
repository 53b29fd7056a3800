"""What is imported with its first use and not with the SDK: each of these takes as long as a third of it.

    import backtrail → **nothing yet** … the first step → **pydantic_core**, the first coroutine → **asyncio**

`_late.asyncio.current_task()` finds the module like any attribute, once it is there. Whether a program uses asyncio at
all is asked of `sys.modules`.
"""

import typing

if typing.TYPE_CHECKING:
    import asyncio as asyncio

    import pydantic_core as pydantic_core
else:

    def __getattr__(name):
        if name == "asyncio":
            import asyncio as found
        elif name == "pydantic_core":
            import pydantic_core as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

"""A connection is an open file, and so are the store's parts and the inbox: room for all of them.

process, app → **open_files** → the system
"""

import sys

PORTS = 2  # HTTP and gRPC
RESERVE = 2048  # for the engine, which opens the files of the parts it reads


def allow_connections(wanted: int) -> int:
    """Raises the process's limit as far as it may, and says how many connections fit below it on each of two ports."""
    if sys.platform == "win32":
        return wanted
    import resource

    needed = PORTS * wanted + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, (soft - min(RESERVE, soft // 2)) // PORTS))

"""A port taken before anything else is opened, so that a second server finds out without touching the data.

serve → **ports** → http_receiver, grpc_receiver
"""

import socket

BACKLOG = 2048


class PortInUse(Exception):
    """It is not possible to listen there. The message says why, and how to choose another port."""


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """`setting` says where the port was chosen, for the message of PortInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python repeats the address in words of its own
        raise PortInUse(f"cannot listen on port {port} of {host}: {reason}; choose another with {setting}") from error

"""An MCP server over stdio, a process of its own. `test_instrumented_clients.py` starts it and counts its calls.

python mcp_server.py LOG      writes a line to LOG for each tool that really ran
"""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError

server = MCPServer("shop")
log = Path(sys.argv[1])


@server.tool()
def look_up(order_id: str) -> dict[str, str]:
    """An order by its id."""
    with log.open("a") as file:
        file.write(f"look_up {order_id}\n")
    return {"order_id": order_id, "status": "shipped"}


@server.tool()
def refuse(reason: str) -> str:
    """An error of the protocol, not of the tool."""
    with log.open("a") as file:
        file.write("refuse\n")
    raise MCPError(-32_000, reason)


if __name__ == "__main__":
    server.run("stdio")

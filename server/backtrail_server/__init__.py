"""The process: the one place where the parts meet.

cli → settings → process → app → store, inbox, writer, receivers, query API
"""

from backtrail_server.app import create_app
from backtrail_server.settings import Settings

__all__ = ["Settings", "create_app"]

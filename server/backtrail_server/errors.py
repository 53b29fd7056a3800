"""Why the process cannot start, or a command cannot be done.

The message is one sentence for the person at the terminal; the exit code is 2.
"""


class CannotStart(Exception):
    """What was asked for is not possible here and now; trying again changes nothing until somebody acts."""


class DataFolderInUse(CannotStart):
    """Another process owns the data folder: there is one owner, everybody else talks HTTP to it."""


class NoDataFolder(CannotStart):
    """The data folder that is to be read is not there."""


class DataFolderNotWritable(CannotStart):
    """The data folder cannot be made or written."""


class CommandFailed(Exception):
    """The server's answer to a command: what it was asked for is not possible, and why."""

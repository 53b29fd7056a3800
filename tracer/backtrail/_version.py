"""The SDK's version, as its distribution says it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("backtrail")
except PackageNotFoundError:
    __version__ = "0"

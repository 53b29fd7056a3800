"""The SDK's version, written here once: the build reads it, and asking the installed distribution takes 10 ms."""

__version__ = "0.1.0"

"""What can go wrong with the store, by what the caller should do.

StoreError
├── StoreUnavailable      try the same again later; nothing is wrong with the data
├── NoRoom                the disk is too full for what was asked; make room, then ask again
├── NotEmbedded           asked of a ClickHouse server what only an embedded store can do
├── BatchRefused          this data will never be taken; halve it, or put it aside
├── UnknownStoreScheme    at start: not a kind of store we know
├── StoreInUse            at start: another process owns the folder
└── StoreNotWritable      at start: the folder cannot be made or written
"""


class StoreError(Exception):
    """Base of everything the store raises."""


class StoreUnavailable(StoreError):
    """ClickHouse is away, full or overloaded. Try again later with the same bytes."""


class NoRoom(StoreError):
    """The disk could not hold what this would write. Nothing was begun; make room and ask again."""


class NotEmbedded(StoreError):
    """The store is a ClickHouse server, which has its own ways for this. The message names them."""


class BatchRefused(StoreError):
    """ClickHouse says this batch is not what it should be. A retry would fail the same way."""


class UnknownStoreScheme(StoreError):
    """The store's address names no store we know. Correct the setting."""


class StoreInUse(StoreError):
    """Another process has the folder open. Stop it, or choose another folder."""


class StoreNotWritable(StoreError):
    """The folder cannot be created or written. Mend its permissions, or choose another."""

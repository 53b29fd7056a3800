"""One batch of envelopes becomes one insert, which ClickHouse decodes.

inbox → writer → **insert** → otlp_in → span_in → spans, contents
                    └─→ otlp_logs_in → log_in → logs, contents
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import lz4.frame
from clickhouse_connect.driver.exceptions import DatabaseError

from backtrail_store.client import ClientPool
from backtrail_store.errors import BatchRefused, StoreError

ENVELOPE_PROTO = resources.files("backtrail_store") / "schema" / "envelope.proto"

# An engine in this process reads the file; of a text it would leave a copy in the program's working directory.
_OF_EMBEDDED = {"format_schema_source": "file", "format_schema": str(ENVELOPE_PROTO)}
_OF_SERVER = {"format_schema_source": "string", "format_schema": ENVELOPE_PROTO.read_text()}
_SETTINGS: dict[str, object] = {
    # A server's profile may say otherwise, but the answer has to wait for the parts, and the token has to count.
    "async_insert": 0,
    "deduplicate_insert": "enable",
    "format_schema_message_name": "Batch",
    "input_format_protobuf_oneof_presence": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "parallel_view_processing": 1,
    # Duplicates within one batch are rare and FINAL removes them; looking for them here costs a third of the insert.
    "optimize_on_insert": 0,
    # The expressions are the same each time and light: compiling them costs more than it saves.
    "compile_expressions": 0,
    # A late span may lie in any week: one insert may touch as many partitions as it has spans.
    "max_partitions_per_insert_block": 0,
    # Three times what the largest batch needs. A request that unfolds into more is at fault itself, and is found by
    # halving; without the limit it would take the machine's memory, at every start again.
    "max_memory_usage": 2 << 30,
}

# ClickHouse's error codes for bytes that cannot be read or values that no column takes. All others, unknown ones too,
# are the store's: data waits for a mended store, but nothing brings it back from quarantine by itself.
_DATA_AT_FAULT = frozenset(
    {3, 4, 6, 27, 32, 33, 38, 41, 69, 70, 72, 117, 128, 131, 153, 190, 248, 306, 321, 349, 407, 436, 437, 444, 469}
    | {565, 632, 691, 760}
)
_BAD_ARGUMENTS = 36
_MEMORY_LIMIT_EXCEEDED = 241


SignalName = Literal["traces", "logs"]

_DOORS: dict[SignalName, str] = {"traces": "otlp_in", "logs": "otlp_logs_in"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Envelopes of one signal, in the inbox's order, that enter ClickHouse in one insert.

    `parts` are the message's bytes. An engine in this process gets them through a file, one after the other: a joined
    copy of 64 MB is fresh pages each time, and costs 1 µs a span of 3 KB. `token` names these bytes
    and no others: the same token over other bytes would be dropped in silence.
    """

    parts: Sequence[bytes]
    token: str
    signal: SignalName = "traces"

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


def insert(clients: ClientPool, batch: Batch) -> None:
    """Returns when the batch's parts are on disk. Raises BatchRefused, or another StoreError if it is worth a retry."""
    try:
        with clients.borrow() as client:
            is_compressed = not clients.is_embedded and clients.address.is_compressed
            client.raw_insert(
                _DOORS[batch.signal],
                insert_block=_block(batch, clients, is_compressed=is_compressed),
                compression="lz4" if is_compressed else None,
                fmt="ProtobufSingle",
                settings=_SETTINGS
                | (_OF_EMBEDDED if clients.is_embedded else _OF_SERVER)
                | {"insert_deduplication_token": batch.token},
            )
    except StoreError as error:
        if isinstance(error.__cause__, DatabaseError) and _is_data_at_fault(error.__cause__):
            raise BatchRefused(*error.args) from error
        raise


def _block(batch: Batch, clients: ClientPool, *, is_compressed: bool) -> bytes | Generator[bytes, None, None]:
    if clients.is_embedded:
        return (part for part in batch.parts)
    return lz4.frame.compress(batch.body) if is_compressed else batch.body


def _is_data_at_fault(error: DatabaseError) -> bool:
    """Of the memory limits only the insert's own says something about the batch; the machine's passes by. And of bad
    arguments only one is the batch's: two values where there may be one, be the second of no type that counts."""
    if error.code == _MEMORY_LIMIT_EXCEEDED:
        return "Query memory limit exceeded" in str(error)
    if error.code == _BAD_ARGUMENTS:
        return "OneOf has more than one value" in str(error)
    return error.code in _DATA_AT_FAULT

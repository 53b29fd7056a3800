"""One batch of envelopes becomes one insert, which ClickHouse decodes.

inbox → writer → **insert** → otlp_in → span_in → spans, contents
"""

from dataclasses import dataclass
from importlib import resources

from backtrail_store.client import ClientPool
from backtrail_store.errors import BatchRefused

ENVELOPE_PROTO = (resources.files("backtrail_store") / "schema" / "envelope.proto").read_text()

_SETTINGS: dict[str, object] = {
    "format_schema_source": "string",
    "format_schema": ENVELOPE_PROTO,
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
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive envelopes from the inbox that enter ClickHouse in one insert.

    `token` names these bytes and no others: the same token over other bytes would be dropped in silence.
    """

    body: bytes
    token: str


def insert(clients: ClientPool, batch: Batch) -> None:
    """Returns when the batch's parts are on disk. Raises BatchRefused or StoreUnavailable."""
    with clients.borrow(BatchRefused) as client:
        client.raw_insert(
            "otlp_in",
            insert_block=batch.body,
            fmt="ProtobufSingle",
            settings=_SETTINGS | {"insert_deduplication_token": batch.token},
        )

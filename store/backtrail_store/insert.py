"""One batch of envelopes becomes one insert, which ClickHouse decodes.

inbox → writer → **insert** → otlp_in → span_in → spans, contents
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
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
    # Duplicates within one batch are rare and FINAL removes them; looking for them here costs a third of the insert.
    "optimize_on_insert": 0,
    # The expressions are the same each time and light: compiling them costs more than it saves.
    "compile_expressions": 0,
    # A late span may lie in any week: one insert may touch as many partitions as it has spans.
    "max_partitions_per_insert_block": 0,
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive envelopes from the inbox that enter ClickHouse in one insert."""

    first_id: int
    last_id: int
    body: bytes

    @cached_property
    def token(self) -> str:
        """Names these bytes: the same token over other bytes would be dropped in silence."""
        return sha256(self.body).hexdigest()


def insert(clients: ClientPool, batch: Batch) -> None:
    """Returns when the batch's parts are on disk. Raises BatchRefused or StoreUnavailable."""
    with clients.borrow(BatchRefused) as client:
        client.raw_insert(
            "otlp_in",
            insert_block=batch.body,
            fmt="ProtobufSingle",
            settings=_SETTINGS | {"insert_deduplication_token": batch.token},
        )

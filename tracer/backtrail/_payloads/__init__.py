"""Values on their way onto a span: encoded, redacted, limited, hashed; and back again.

user's value → **payloads** → attributes of a span
"""

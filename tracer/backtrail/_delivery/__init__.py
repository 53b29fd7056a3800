"""From the agent's threads to the server: bounded, counted, on disk if need be.

spans → **delivery** → POST /v1/traces
"""

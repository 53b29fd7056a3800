"""Stored spans and log records as OTLP again, as they were sent.

reader, log_reader → **otlp**: as_sent → grouped → otlp_json | otlp_protobuf → routes/otlp.py
"""

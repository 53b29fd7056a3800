"""Other people's spans and exporters beside ours.

any OpenTelemetry library ⇄ **beside** ⇄ spans
"""

"""What was said to models and by them, in one shape whoever recorded it: OpenTelemetry's `[{role, parts: [...]}]`.

    SpanRow, [LogRow] → carrier → sources.toml, table → **first source that says something** → recognition → messages
    → pairing, tool_calls → conversation → routes/spans.py

All of it is done when a span is read, and nothing is stored: a rule that is new holds for old spans at once.
"""

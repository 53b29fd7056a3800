"""Dialects' names for what spans say, as one table, and what is made of it.

conventions.toml → table → **sql** → schema/0004_conventions.sql → span_in_view, spans_view
                         → **page** → docs/conventions.md
"""

"""One module for each group of paths; `backtrail_query.create_router` puts them together."""

"""What `backtrail-server` can be told, a module each: `add_to` names its flags, `run` does it.

cli → **commands** → process (serve), control → admin (what concerns a running server too)
"""

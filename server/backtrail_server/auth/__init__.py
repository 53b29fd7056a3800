"""Who may do what: every request runs under a grant, or is refused before anything is read of it.

    request → browsers → gate (carriers → keyring → grant, policy) → route
    RPC     → rpc_gate (the same)                                  → service

A key is in the hands of one project, and no request names a project by itself: what a grant does not cover cannot be
asked for.
"""

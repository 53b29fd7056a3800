"""`python -m backtrail_server` is `backtrail-server`."""

from backtrail_server.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

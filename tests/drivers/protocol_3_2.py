"""What libpq 18 says in the protocol's version 3.2, through the front: protocol_3_2.py PORT DIRECT_PORT."""

import sys
import threading
import time

import psycopg
from psycopg import errors

assert psycopg.pq.version() >= 180000, psycopg.pq.version()


def at(port, more):
    return f"host=127.0.0.1 port={port} user=postgres dbname=postgres {more}"


def works(port):
    # With this minimum libpq refuses a server that answers with an older version.
    with psycopg.connect(at(port, "min_protocol_version=3.2"), autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        waiting = threading.Thread(target=cancels, args=(connection,))
        waiting.start()
        try:
            connection.execute("select pg_sleep(30)")
            raise AssertionError("nobody cancelled")
        except errors.QueryCanceled:
            pass
        waiting.join()
        assert connection.execute("select 2").fetchone() == (2,)


def cancels(connection):
    # The cancel key has 32 bytes in this version.
    time.sleep(0.3)
    connection.cancel_safe(timeout=10)


for port in sys.argv[1:]:
    works(port)
print("ok")

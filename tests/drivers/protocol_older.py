"""libpq 18 with a server that speaks 3.0 alone, through the front and direct: protocol_older.py PORT DIRECT_PORT."""

import sys

import psycopg


def at(port, more):
    return f"host=127.0.0.1 port={port} user=postgres dbname=postgres {more}"


for port in sys.argv[1:]:
    with psycopg.connect(at(port, "max_protocol_version=latest")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    try:
        psycopg.connect(at(port, "min_protocol_version=3.2 max_protocol_version=3.2"))
        raise AssertionError("the server speaks 3.0")
    except psycopg.OperationalError as error:
        assert "protocol" in str(error), error
print("ok")

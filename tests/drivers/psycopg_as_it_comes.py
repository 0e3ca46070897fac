"""A batch of psycopg's, as its documentation writes it: psycopg_as_it_comes.py PORT. Prints the backend, then ok."""

import sys

import psycopg

address = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres application_name=batch_x"
with psycopg.connect(address) as connection:
    print(connection.info.backend_pid, flush=True)
    connection.execute("insert into p25 values (%s)", [1])
    connection.execute("insert into p25 values (%s)", [2])
    assert connection.execute("select count(*) from p25").fetchone() == (2,)
print("ok")

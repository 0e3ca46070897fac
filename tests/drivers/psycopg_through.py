"""What psycopg 3 does, through the front at a port of loopback: psycopg_through.py PORT."""

import sys
import threading

import psycopg
from psycopg import errors

ADDRESS = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres"


def connect(**more):
    return psycopg.connect(ADDRESS, **more)


def prepared(connection):
    for number in range(20):
        asked = connection.execute("select %s::int + 1", [number], prepare=True)
        assert asked.fetchone() == (number + 1,)
    named = connection.execute("select count(*) from pg_prepared_statements").fetchone()[0]
    assert named >= 1, named


def transaction(connection):
    connection.execute("create table through_psycopg (n int primary key, t text)")
    with connection.transaction():
        connection.execute("insert into through_psycopg values (1, 'one')")
        try:
            with connection.transaction():
                connection.execute("insert into through_psycopg values (2, 'two')")
                raise psycopg.Rollback
        except psycopg.Rollback:
            pass
        connection.execute("insert into through_psycopg values (3, 'three')")
    assert connection.execute("select array_agg(n order by n) from through_psycopg").fetchone() == ([1, 3],)


def error_then_on(connection):
    try:
        with connection.transaction():
            connection.execute("insert into through_psycopg values (4, 'four')")
            connection.execute("insert into through_psycopg values (1, 'again')")
        raise AssertionError("the key is there already")
    except errors.UniqueViolation as error:
        assert error.diag.constraint_name == "through_psycopg_pkey"
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert connection.execute("select count(*) from through_psycopg").fetchone() == (2,)


def copy(connection):
    rows = [(number, "t" * (number % 50)) for number in range(100, 5100)]
    with connection.cursor() as cursor:
        with cursor.copy("copy through_psycopg from stdin") as into:
            for row in rows:
                into.write_row(row)
        assert cursor.rowcount == len(rows)
        with cursor.copy("copy (select * from through_psycopg where n >= 100 order by n) to stdout") as out:
            out.set_types(["int4", "text"])
            assert list(out.rows()) == rows
    try:
        with connection.cursor().copy("copy through_psycopg from stdin") as into:
            into.write("no number\tt\n")
        raise AssertionError("that is no number")
    except errors.InvalidTextRepresentation:
        pass
    assert connection.execute("select 1").fetchone() == (1,)


def cancel(connection):
    for attempt in range(3):
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        try:
            connection.execute("select pg_sleep(30)")
            raise AssertionError("it was cancelled")
        except errors.QueryCanceled:
            pass
        timer.join()
        assert connection.execute("select %s::int", [attempt]).fetchone() == (attempt,)


def notify(connection):
    with connect(autocommit=True) as listens:
        listens.execute("listen through_psycopg")
        for number in range(3):
            connection.execute("select pg_notify('through_psycopg', %s)", [str(number)])
        told = [notice.payload for notice in listens.notifies(timeout=20, stop_after=3)]
    assert told == ["0", "1", "2"], told


def server_side_cursor(connection):
    with connection.transaction(), connection.cursor(name="through") as cursor:
        cursor.itersize = 100
        cursor.execute("select n from generate_series(1, 1000) n")
        assert [n for (n,) in cursor] == list(range(1, 1001))
    with connection.transaction(), connection.cursor(name="scrolls", scrollable=True) as cursor:
        cursor.execute("select n from generate_series(1, 1000) n")
        cursor.scroll(900, mode="absolute")
        assert cursor.fetchone() == (901,)
        cursor.scroll(-2)
        assert cursor.fetchone() == (900,)
    with connect() as streams, streams.cursor() as cursor:
        assert [n for (n,) in cursor.stream("select generate_series(1, 1000)")] == list(range(1, 1001))


def pipeline_and_batch(connection):
    with connection.pipeline() as pipeline:
        asked = [connection.execute("select %s::int", [number]) for number in range(100)]
        pipeline.sync()
        assert [cursor.fetchone()[0] for cursor in asked] == list(range(100))
    failed = None
    try:
        with connection.pipeline():
            connection.execute("insert into through_psycopg values (20000, 'first')")
            connection.execute("select 1 / 0")
            connection.execute("insert into through_psycopg values (20001, 'never')")
    except errors.DivisionByZero as error:
        failed = error
    assert failed is not None
    # One implicit transaction up to the next sync.
    assert connection.execute("select count(*) from through_psycopg where n >= 20000").fetchone() == (0,)
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into through_psycopg values (%s, %s)", [(30000 + number, "many") for number in range(500)]
        )
        assert cursor.rowcount == 500
        cursor.executemany(
            "insert into through_psycopg values (%s, 'back') returning n",
            [(40000 + number,) for number in range(50)],
            returning=True,
        )
        returned = [result.fetchone()[0] for result in cursor.results()]
        assert returned == [40000 + number for number in range(50)], returned


def without_autocommit():
    with connect() as connection:
        connection.execute("insert into through_psycopg values (50000, 'kept')")
    connection = connect()
    connection.execute("insert into through_psycopg values (50001, 'lost')")
    connection.close()
    connection = connect()
    connection.execute("insert into through_psycopg values (50002, 'rolled back')")
    connection.rollback()
    asked = connection.execute("select array_agg(n) from through_psycopg where n >= 50000")
    assert asked.fetchone() == ([50000],)
    connection.close()


def two_phases():
    with connect() as connection:
        xid = connection.xid(1, "through_psycopg", "branch")
        connection.tpc_begin(xid)
        connection.execute("insert into through_psycopg values (60000, 'prepared')")
        connection.tpc_prepare()
        connection.tpc_commit()
        asked = connection.execute("select count(*) from through_psycopg where n = 60000")
        assert asked.fetchone() == (1,)


with connect(autocommit=True) as held:
    for step in (
        prepared,
        transaction,
        error_then_on,
        copy,
        cancel,
        notify,
        server_side_cursor,
        pipeline_and_batch,
    ):
        step(held)
    without_autocommit()
    two_phases()
    held.execute("drop table through_psycopg")
print("ok")

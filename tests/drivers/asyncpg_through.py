"""What asyncpg does, through the front at a port of loopback: asyncpg_through.py PORT."""

import asyncio
import sys

import asyncpg

ADDRESS = {"host": "127.0.0.1", "port": int(sys.argv[1]), "user": "postgres", "database": "postgres", "ssl": False}


async def prepared(connection):
    statement = await connection.prepare("select $1::int + 1")
    assert [await statement.fetchval(number) for number in range(20)] == list(range(1, 21))
    for number in range(20):
        assert await connection.fetchval("select $1::text || 'x'", str(number)) == f"{number}x"


async def transaction(connection):
    await connection.execute("create table through_asyncpg (n int primary key, t text)")
    async with connection.transaction():
        await connection.execute("insert into through_asyncpg values ($1, $2)", 1, "one")
        try:
            async with connection.transaction():
                await connection.execute("insert into through_asyncpg values (2, 'two')")
                await connection.execute("insert into through_asyncpg values (1, 'again')")
            raise AssertionError("the key is there already")
        except asyncpg.UniqueViolationError:
            pass
        await connection.execute("insert into through_asyncpg values (3, 'three')")
    assert [row["n"] for row in await connection.fetch("select n from through_asyncpg order by n")] == [1, 3]


async def error_then_on(connection):
    for text, error in [
        ("selec 1", asyncpg.PostgresSyntaxError),
        ("select 1 / 0", asyncpg.DivisionByZeroError),
        ("select * from nowhere", asyncpg.UndefinedTableError),
    ]:
        try:
            await connection.fetch(text)
            raise AssertionError(f"{text} fails")
        except error:
            pass
        assert await connection.fetchval("select 7") == 7


async def copy(connection):
    rows = [(number, "t" * (number % 50)) for number in range(100, 5100)]
    done = await connection.copy_records_to_table("through_asyncpg", records=rows)
    assert done == "COPY 5000", done
    gathered = bytearray()

    async def gather(data):
        gathered.extend(data)

    done = await connection.copy_from_query(
        "select n from through_asyncpg where n >= $1 order by n", 100, output=gather
    )
    assert done == "COPY 5000", done
    assert [int(line) for line in gathered.split()] == [number for number, _ in rows]


async def cancel(connection):
    for number in range(3):
        try:
            await connection.fetch("select pg_sleep(30)", timeout=0.3)
            raise AssertionError("it was cancelled")
        except asyncio.TimeoutError:
            pass
        assert await connection.fetchval("select $1::int", number) == number


async def notify(connection):
    told = asyncio.Queue()
    listens = await asyncpg.connect(**ADDRESS)
    await listens.add_listener("through_asyncpg", lambda *notice: told.put_nowait(notice[-1]))
    for number in range(3):
        await connection.execute("select pg_notify('through_asyncpg', $1)", str(number))
    got = [await asyncio.wait_for(told.get(), 20) for _ in range(3)]
    assert got == ["0", "1", "2"], got
    await listens.close()


async def cursor(connection):
    async with connection.transaction():
        got = []
        async for row in connection.cursor("select generate_series(1, 1000) as n", prefetch=100):
            got.append(row["n"])
        assert got == list(range(1, 1001))
        portal = await connection.cursor("select generate_series(1, 1000) as n")
        await portal.forward(500)
        assert [row["n"] for row in await portal.fetch(3)] == [501, 502, 503]


async def batch(connection):
    await connection.executemany(
        "insert into through_asyncpg values ($1, $2)", [(30000 + number, "many") for number in range(500)]
    )
    try:
        await connection.executemany("insert into through_asyncpg values ($1, 'm')", [(40000,), (40001,), (1,)])
        raise AssertionError("the key is there already")
    except asyncpg.UniqueViolationError:
        pass
    counted = await connection.fetchval("select count(*) from through_asyncpg where n >= 30000")
    assert counted == 500, counted


async def pool():
    async with asyncpg.create_pool(min_size=2, max_size=4, **ADDRESS) as connections:

        async def one(number):
            async with connections.acquire() as connection:
                return await connection.fetchval("select $1::int * 2 from pg_sleep(0.01)", number)

        assert await asyncio.gather(*map(one, range(40))) == [number * 2 for number in range(40)]


async def main():
    connection = await asyncpg.connect(**ADDRESS)
    for step in (prepared, transaction, error_then_on, copy, cancel, notify, cursor, batch):
        await step(connection)
    await pool()
    await connection.execute("drop table through_asyncpg")
    await connection.close()
    print("ok")


asyncio.run(main())

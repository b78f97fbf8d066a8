"""Transactions of many threads on one SQLite database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from openlamda.store.database import Database


def test_who_waits_to_write_is_not_overtaken_for_long(tmp_path):
    database, ended, turns = Database(sa.make_url(f"sqlite:///{tmp_path / 'store.db'}")), threading.Event(), [0]
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE said (number INTEGER)"))

    def write() -> int:
        """How many turns others had meanwhile."""
        before = turns[0]
        with database.write() as connection:
            waited = turns[0] - before
            connection.execute(sa.text("INSERT INTO said VALUES (1)"))
            turns[0] += 1
        return waited

    def talk() -> None:
        while not ended.is_set():
            write()

    with ThreadPoolExecutor(3) as pool:
        talking = [pool.submit(talk) for _ in range(3)]
        try:
            overtaken = [write() for _ in range(20)]
        finally:
            ended.set()
        for each in talking:
            each.result()
    assert sorted(overtaken)[10] <= 4 and max(overtaken) <= 20
    database.close()

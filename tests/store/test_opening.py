import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import exc

from openlamda.errors import UserError
from openlamda.store import StoreUnavailable, default_url, open_store, opening
from openlamda.store.tables import metadata


def test_migrations_make_the_tables_that_the_program_knows(fresh):
    store = open_store(fresh)
    with store._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert store.version() == "0003"
    store.close()


def test_an_older_store_is_brought_forward_with_all_that_is_in_it(fresh, kept, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("alembic.script.ScriptDirectory.get_current_head", lambda _: "0001")
        older = open_store(fresh)
    assert older.version() == "0001"
    user = older.new_user("Ann")
    ids = older.keep_exchange(None, None, "hello", kept(), "a", user_id=user.id)
    salt = older.pseudonym(user.id)
    older.close()
    newer = open_store(fresh)
    assert newer.version() == "0003" and newer.pseudonym(user.id) == salt
    assert newer.reply(user.id, ids.reply_id) == kept()
    newer.close()


def test_who_opens_at_the_same_moment_migrates_once(fresh):
    """Four processes: in one of them alone threads would wait for each other."""
    program = f"from openlamda.store import open_store; s = open_store({fresh!r}); print(s.pseudonym('user_1'))"
    with ThreadPoolExecutor(4) as pool:
        command = [sys.executable, "-c", program]
        done = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True), range(4)))
    assert [one.stderr for one in done] == [""] * 4
    assert len({one.stdout for one in done}) == 1


def test_threads_open_at_the_same_moment(fresh):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(fresh), range(4)))
    assert len({store.pseudonym("user_1") for store in stores}) == 1
    for store in stores:
        store.close()


def test_a_newer_store_is_refused(fresh):
    store = open_store(fresh)
    with store._database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(UserError, match="is of version 9999, made by a newer openlamda than this, which knows 0001, "):
        open_store(fresh)


def test_a_migration_that_fails_leaves_nothing_behind(fresh, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("secrets.token_hex", lambda _: None)  # no salt: the last statement breaks
        with pytest.raises(exc.IntegrityError):
            open_store(fresh)
    store = open_store(fresh)
    assert store.pseudonym("user_1")
    store.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://ann:s3cret@host/db", "store mysql://...: no database of that kind, expected a path"),
        ("postgresql+psycopg2://ann:s3cret@host/db", "no database of that kind"),
        ("postgresql://ann:s3cret@host:port/db", "no such URL"),
        ("postgresql://ann:s3cret@host", "names no database"),
        ("sqlite://", "no file is named"),
        ("sqlite:///:memory:", "no file is named"),
        ("", "no file is named"),
        ("/proc/no/store.db", "expected a file that can be written"),
        ("/tmp", "/tmp: Is a directory"),
    ],
)
def test_what_is_no_store_is_named(url, message):
    with pytest.raises(UserError) as raised:
        open_store(url)
    assert message in str(raised.value) and "s3cret" not in str(raised.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    for lacking, extra in (("psycopg", "postgresql"), ("sqlalchemy", "serve"), ("alembic", "serve")):
        monkeypatch.setattr(opening, "find_spec", lambda name, lacking=lacking: None if name == lacking else name)
        with pytest.raises(UserError, match=rf"pip install 'openlamda\[{extra}\]'"):
            open_store("postgresql://ann:s3cret@host/db")


def test_another_file_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("these are my notes, " * 500)
    with pytest.raises(UserError, match=r"notes\.txt: the file is no SQLite database"):
        open_store(str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text() == "these are my notes, " * 500


def test_conversations_are_for_their_owners_eyes(tmp_path):
    store = open_store(str(tmp_path / "data" / "store.db"))
    store.new_user()
    for path in (tmp_path / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    store.close()


def test_the_default_is_a_file_of_the_users_or_what_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENLAMDA_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert os.name != "posix" or sys.platform == "darwin" or default_url() == f"sqlite:///{tmp_path}/openlamda/store.db"
    monkeypatch.setenv("OPENLAMDA_STORE", "postgresql://host/db")
    assert default_url() == "postgresql://host/db"


def test_a_commit_is_on_the_disk(tmp_path):
    store = open_store(str(tmp_path / "store.db"))
    with store._database.read() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert pragmas == ["wal", 2]
    store.close()


def test_who_is_locked_out_hears_it_soon_and_is_let_in_again(tmp_path, monkeypatch):
    monkeypatch.setattr("openlamda.store.database.BUSY", 0.2)
    store = open_store(str(tmp_path / "store.db"))
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"store\.db does not answer \(SQLITE_BUSY\)"):
        store.new_user()
    assert store.user("user_no") is None  # who reads never waits
    other.execute("ROLLBACK")
    other.close()
    store.new_user()
    store.close()

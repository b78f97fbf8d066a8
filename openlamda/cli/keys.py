"""`openlamda keys`."""

import json as jsonlib
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openlamda.cli.store import opened
from openlamda.dialog.trace import printable
from openlamda.errors import UserError
from openlamda.store.records import Key, KeyLimits

ACTOR = "command line"  # in the audit log


def new(
    name: str,
    *,
    scopes: str = "chat,completions",
    requests_per_minute: int = 0,
    tokens_per_day: int = 0,
    days: int = 0,
    user: str = "",
    store: str = "",
    json: bool = False,
) -> None:
    """Make a key and print its secret, which nobody can print again: the store has a hash alone.

    Example: openlamda keys new "Ann's notebook" --requests-per-minute 60

    Parameters
    ----------
    name
        What it is for, in your words.
    scopes
        What it opens, with commas: chat, completions, admin.
    requests_per_minute
        So many requests a minute, over all servers on this store; 0: no limit.
    tokens_per_day
        So many tokens a day (UTC); 0: no limit.
    days
        It opens nothing after so many days; 0: until it is revoked.
    user
        The id of the user whose key it is; default: a new user of this name.
    store
        A path, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE; default: OPENLAMDA_STORE, else the file in
        your folder of data.
    json
        Print one object.
    """
    wanted = frozenset(scope.strip() for scope in scopes.split(",") if scope.strip())
    if not 0 <= days <= 36_500:
        raise UserError(f"--days {days}, expected a number of days up to 36500, or 0")
    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    limits = KeyLimits(requests_per_minute, tokens_per_day)
    with opened(store) as kept:
        from openlamda.store.keys import check  # brings SQLAlchemy, which opening has made sure of

        check(wanted, limits)  # before there is a user of no key
        owner = user or kept.new_user(name).id
        key, secret = kept.new_key(owner, name, wanted, limits, expires, actor=ACTOR)
    if json:
        print(jsonlib.dumps({**as_json(key), "secret": secret}))
        return
    print(secret)
    Console(stderr=True, soft_wrap=True).print(
        f"{key.id} of {key.user_id}. Keep the line above: it is not shown again.", highlight=False, markup=False
    )


def show(*, store: str = "", json: bool = False) -> None:
    """List the keys, without their secrets.

    Parameters
    ----------
    store
        As in `openlamda keys new`.
    json
        Print a list of objects.
    """
    with opened(store) as kept:
        keys = kept.keys()
        spent = {key.id: kept.spent(key.id) for key in keys}
    if json:
        print(jsonlib.dumps([{**as_json(key), "tokens_today": spent[key.id]} for key in keys]))
        return
    table = Table("key", "name", "user", "opens", "requests a minute", "tokens a day", "today", "until")
    for key in keys:
        until = "revoked" if key.revoked else f"{key.expires:%Y-%m-%d}" if key.expires else ""
        limits = [
            f"{limit:,}" if limit else "" for limit in (key.limits.requests_per_minute, key.limits.tokens_per_day)
        ]
        opens = ", ".join(sorted(key.scopes))
        table.add_row(key.id, Text(printable(key.name)), key.user_id, opens, *limits, f"{spent[key.id]:,}", until)
    Console().print(table)


def revoke(key: str, *, store: str = "", json: bool = False) -> None:
    """Revoke a key: from now on it opens nothing.

    Parameters
    ----------
    key
        The key's id, as `openlamda keys list` shows it.
    store
        As in `openlamda keys new`.
    json
        Print one object.
    """
    with opened(store) as kept:
        if not kept.revoke_key(key, actor=ACTOR):
            raise UserError(f"key {key!r}: none of this id, or revoked already")
    print(jsonlib.dumps({"revoked": key}) if json else printable(f"{key} is revoked"))


def as_json(key: Key) -> dict:
    """A key as plain values."""
    times = {name: value.isoformat() if value else None for name, value in vars(key).items() if name in _TIMES}
    plain = {"id": key.id, "user_id": key.user_id, "name": key.name, "scopes": sorted(key.scopes)}
    return {**plain, **vars(key.limits), **times}


_TIMES = ("created", "expires", "revoked")

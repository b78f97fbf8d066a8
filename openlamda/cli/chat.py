"""`openlamda chat`."""

import contextlib
import io
import json as jsonlib
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from openlamda.dialog.lamda import Lamda, Reply
from openlamda.dialog.markdown import markdown as as_markdown
from openlamda.dialog.roles import Role, find
from openlamda.dialog.trace import printable
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, dialog_from_json
from openlamda.tools.toolset import open_toolset

COMMANDS = "/why: how the last reply was chosen   /reset: a new dialog   /quit"


def chat(
    *,
    once: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    messages: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    model: Path | None = None,
    devices: int = 1,
    remote: str = "",
    remote_model: str = "",
    role: Path | None = None,
    tools: Path | None = None,
    index: str = "",
    web: str = "",
    seed: int = 0,
    json: bool = False,
    markdown: bool = False,
    trace: bool = False,
) -> None:
    """Talk to a model; /why shows the sixteen candidates, their scores and what was looked up.

    Example: openlamda chat --once "how high is Mount Kilimanjaro?" --json

    Parameters
    ----------
    once
        Reply to this text alone, and end.
    messages
        Reply to the turns of a JSON file, [{"role": "user", "content": "..."}, ...], or to --once after them, and end.
        Where FILE is a dash, it is read from standard input. Roles are user and assistant; what a system message would
        say goes into --role.
    model
        A model directory; default: the model that ships.
    devices
        Split the model over so many of this machine's GPUs or TPU cores: for one that has no room on one of them.
    remote
        The URL of a server that computes for the directory's tokenizer and judges, as http://localhost:8000/v1. An API
        key is read from OPENLAMDA_API_KEY. docs/engine.md says which servers can.
    remote_model
        The name of the model on that server, where it wants one.
    role
        A role file (TOML), or the name of one that ships, as mount-everest (docs/serve.md).
    tools
        A tools file (TOML, docs/own-tools.md): which tools are asked, in which order; default: the three that ship.
    index
        Look up in this index, too: a folder that `openlamda index` made, or http://HOST:9200/NAME on OpenSearch.
    web
        Look up on the web, too: searxng=URL or brave=URL of a service's JSON search. What is looked up is sent there.
        A key is read from OPENLAMDA_WEB_KEY.
    seed
        The same seed gives the same replies.
    json
        With --once or --messages: print the reply, its sources and its trace as JSON.
    markdown
        With --once or --messages: print the reply as Markdown, its sources as footnotes with links.
    trace
        With --once or --messages: print after the reply what /why shows.
    """
    from openlamda.loading import load  # brings jax: not for --help

    for name, asked in (("json", json), ("markdown", markdown), ("trace", trace)):
        if asked and once is None and messages is None:
            raise UserError(f"--{name}: nothing to reply to, expected --once TEXT or --messages FILE with it")
    if json and (markdown or trace):
        raise UserError("--json: prints everything, expected neither --markdown nor --trace with it")
    if remote_model and not remote:
        raise UserError("--remote-model: no server, expected --remote URL with it")
    if remote and devices != 1:
        raise UserError(f"--devices {devices}: the server computes, expected --devices or --remote")
    dialog = _read(messages) if messages is not None else Dialog()
    spoken = Role.read(find(role)) if role is not None else None
    with contextlib.closing(open_toolset(tools, index, web)) as toolset:
        lamda = load(model, role=spoken, toolset=toolset, devices=devices, remote=remote, remote_model=remote_model)
        if once is None and messages is None:
            _converse(lamda, seed)
            return
        reply = lamda.reply(dialog.say("user", once) if once is not None else dialog, seed=seed)
    if json:
        print(jsonlib.dumps(as_json(reply), indent=2))
    elif markdown:
        print(printable(as_markdown(reply.text, reply.sources)))
    else:
        _print(reply, lamda.role.name, Console(soft_wrap=True, emoji=False))
    if trace:
        Console().print(reply.trace.render())


def as_json(reply: Reply) -> dict:
    """A reply and its trace as plain values."""
    return {
        "reply": reply.text,
        "sources": [vars(source) for source in reply.sources],
        "finish_reason": reply.finish_reason,
        "verified": reply.verified,
        **reply.trace.to_json(),
    }


def _read(path: Path) -> Dialog:
    where = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return dialog_from_json(msgspec.json.decode(text.removeprefix(BOM_UTF8)), where)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"{where}: {error}, expected JSON") from None


def _lines() -> Iterator[str]:
    """What the user types, line by line, until the end of input."""
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a stray byte must not end the chat
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    from prompt_toolkit import PromptSession

    session: PromptSession[str] = PromptSession()
    while True:
        try:
            yield session.prompt("You: ")
        except (EOFError, KeyboardInterrupt):
            return


def _converse(lamda: Lamda, seed: int) -> None:
    console, dialog, last = Console(soft_wrap=True, emoji=False), Dialog(), None
    print(COMMANDS)
    if lamda.role.greeting:
        console.print(printable(f"{lamda.role.name}: {lamda.role.greeting}"), markup=False, highlight=False)
    for line in _lines():
        command = line.strip()
        if command == "/quit":
            return
        if command == "/reset":
            dialog, last = Dialog(), None
        elif command == "/why":
            Console().print(last.trace.render() if last is not None else "Nothing was said yet.")
        elif command.startswith("/"):
            print(COMMANDS)
        elif command:
            try:
                last = lamda.reply(dialog.say("user", line), seed=seed + len(dialog.turns))
            except UserError as error:
                print(printable(f"error: {error}"))
                continue
            dialog = dialog.say("user", line).say("agent", last.text)
            _print(last, lamda.role.name, console)


def _print(reply: Reply, name: str, console: Console) -> None:
    for asked in reply.trace.research:
        console.print(printable(f'(looked up "{asked.query}")'), style="dim", markup=False, highlight=False)
    console.print(printable(f"{name}: {reply.text}"), markup=False, highlight=False)
    for source in reply.sources:
        lacking = "   (does not have all that is said)" if source.support == "not in the source" else ""
        console.print(printable(f"[{source.k}] {source.url}{lacking}"), style="dim", markup=False, highlight=False)

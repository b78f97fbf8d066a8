"""`openlamda serve`."""

import ctypes
import logging
import os
import platform
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from openlamda.errors import UserError

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3  # of malloc.h
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class Served:
    """All that a replica needs to know."""

    model: Path | None
    roles: Path | None
    store: str
    tools: Path | None
    index: str
    web: str
    devices: int
    remote: str
    remote_model: str
    local: bool
    require_key: bool
    hide_candidates: bool
    secure: bool
    workers: int


def serve(
    model: Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    roles: Path | None = None,
    store: str = "",
    require_key: bool = False,
    hide_candidates: bool = False,
    secure: bool = False,
    workers: int = 4,
    replicas: int = 1,
    tools: Path | None = None,
    index: str = "",
    web: str = "",
    devices: int = 1,
    remote: str = "",
    remote_model: str = "",
) -> None:
    """Serve a model: OpenAI's API under /v1, a web page at /, everything kept in a store.

    Example: openlamda serve --port 8000

    Parameters
    ----------
    model
        A model directory; default: the model that ships.
    host
        The address to listen at. One that others can reach wants --require-key.
    port
        The port; 0: any that is free.
    roles
        A folder of role files (TOML) beside those that ship; they are read again when they change.
    store
        Where conversations, keys and feedback are kept: a path, sqlite:///PATH or postgresql://USER@HOST/NAME;
        default: OPENLAMDA_STORE, else a file in the user's folder of data.
    require_key
        Answer nobody without an API key (openlamda keys new).
    hide_candidates
        Leave the texts of candidates that were not said out of traces.
    secure
        The page is reached by https alone, through a proxy: its cookie says so.
    workers
        How many replies are made at once; the engine draws for all of them together.
    replicas
        So many processes on this port, each with the model in memory, which are started again when they end.
    tools
        A tools file (TOML, docs/own-tools.md); default: the three tools that ship.
    index
        Look up in this index, too: a folder that `openlamda index` made, or http://HOST:9200/NAME on OpenSearch.
    web
        Look up on the web, too: searxng=URL or brave=URL of a service's JSON search. What is looked up is sent there. A
        key is read from OPENLAMDA_WEB_KEY.
    devices
        Split the model over so many of this machine's GPUs or TPU cores.
    remote
        The URL of a server that computes, as http://localhost:8000/v1 of vLLM (docs/engine.md). An API key is read from
        OPENLAMDA_API_KEY.
    remote_model
        The name of the model on that server, where it wants one.
    """
    if remote_model and not remote:
        raise UserError("--remote-model: no server, expected --remote URL with it")
    if remote and devices != 1:
        raise UserError(f"--devices {devices}: the server computes, expected --devices or --remote")
    for name, count in (("workers", workers), ("replicas", replicas)):
        if not 1 <= count <= 256:
            raise UserError(f"--{name} {count}: expected 1 to 256")
    if roles is not None and not roles.is_dir():
        raise UserError(f"--roles {roles}: no such folder")
    try:
        from openlamda.serve.logs import log_as_json
        from openlamda.serve.replicas import Replicas
        from openlamda.serve.running import listen
    except ModuleNotFoundError as error:
        raise UserError(f"serving needs {error.name}: pip install 'openlamda[serve]'") from None
    options = Served(
        model=model,
        roles=roles,
        store=store,
        tools=tools,
        index=index,
        web=web,
        devices=devices,
        remote=remote,
        remote_model=remote_model,
        local=host in LOOPBACK and not require_key and not os.environ.get("FORWARDED_ALLOW_IPS"),
        require_key=require_key,
        hide_candidates=hide_candidates,
        secure=secure,
        workers=workers,
    )
    listening = listen(host, port)
    address = f"[{host}]" if ":" in host else host
    print(f"openlamda serves at http://{address}:{listening.getsockname()[1]} (Ctrl-C ends)", flush=True)
    log_as_json()
    if host not in LOOPBACK and not require_key:
        logging.getLogger("openlamda.serve").warning("anybody who reaches this address can use it: no --require-key")
    if replicas == 1:
        _serve_one(options, listening)
    else:
        Replicas(partial(_serve_one, options), listening, replicas).run()


def _give_back_memory() -> None:
    """Left to itself, glibc gives each thread a heap of its own and keeps in them what was freed, in ever smaller
    pieces: 1.8 GiB after four minutes under load, where half of that is enough.
    """
    if platform.libc_ver()[0] == "glibc":
        glibc = ctypes.CDLL(None)
        glibc.mallopt(M_ARENA_MAX, 2)
        glibc.mallopt(M_MMAP_THRESHOLD, 2**18)  # bytes; what is larger goes back to the system when it is freed


def _serve_one(options: Served, listening: socket.socket) -> None:
    """A server in this process."""
    _give_back_memory()
    from openlamda.dialog.roles import SHIPPED as SHIPPED_ROLES
    from openlamda.loading import SHIPPED, load
    from openlamda.serve.agents import Agents
    from openlamda.serve.app import create_app
    from openlamda.serve.logs import log_as_json
    from openlamda.serve.running import run
    from openlamda.serve.settings import Settings
    from openlamda.store import StoreUnavailable, default_url, open_store
    from openlamda.tools.toolset import open_toolset

    log_as_json()
    settings = Settings(
        local=options.local,
        require_key=options.require_key,
        hide_candidates=options.hide_candidates,
        secure=options.secure,
        workers=options.workers,
    )
    toolset = open_toolset(options.tools, options.index, options.web)
    loading = partial(
        load,
        options.model,
        toolset=toolset,
        devices=options.devices,
        remote=options.remote,
        remote_model=options.remote_model,
    )
    folders = [SHIPPED_ROLES, *([options.roles] if options.roles is not None else [])]
    try:
        store = open_store(options.store or default_url())
    except StoreUnavailable as error:
        raise UserError(f"{error}: is it running?") from None
    try:
        agents = Agents(loading, (options.model or SHIPPED).resolve().name, folders)
        run(create_app(settings, agents, store), listening)
    finally:
        store.close()
        toolset.close()

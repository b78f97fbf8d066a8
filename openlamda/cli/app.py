"""The command line: one thin verb a file, loaded when it is called, so that --help is quick."""

import gc
import io
import sys

from cyclopts import App, Parameter

from openlamda.dialog.trace import printable
from openlamda.errors import UserError

HELP = """Dialog systems by the LaMDA recipe: one model drafts sixteen replies, judges each itself, drops the unsafe,
ranks the rest, looks claims up, and answers with its sources.

Start with:  openlamda chat

Every command has --help; many have --json for scripts. Exit codes: 0 done, 2 a mistake that standard
error names, 130 interrupted.
"""

# a flag has no --no-FLAG, and help tells no default that says nothing
plain = Parameter(negative=(), show_default=lambda default: default if default not in ("", (), False) else None)
app = App(name="openlamda", help=HELP, default_parameter=plain)
app.command("openlamda.cli.chat:chat", name="chat")
app.command("openlamda.cli.serve:serve", name="serve")
app.command("openlamda.cli.index:index", name="index")
app.command("openlamda.cli.judge:judge", name="judge")
app.command("openlamda.cli.filter:filter", name="filter")
app.command("openlamda.cli.train:train", name="train")
app.command("openlamda.cli.plan:plan", name="plan")
app.command("openlamda.cli.evaluate:evaluate", name="evaluate")
app.command("openlamda.cli.env:env", name="env")
app.command("openlamda.cli.doctor:doctor", name="doctor")

tools = App(name="tools", help="Ask the toolset that the model uses, or offer it to other programs.")
tools.command("openlamda.cli.tools:ask", name="ask")
tools.command("openlamda.cli.tools:serve_mcp", name="serve-mcp")
tokenizer = App(name="tokenizer", help="Train a tokenizer.")
tokenizer.command("openlamda.cli.tokenizer:train", name="train")
data = App(name="data", help="Look at training data before a minute of training.")
data.command("openlamda.cli.data:show", name="show")
corpus = App(name="corpus", help="Turn text and dialogs into token shards for training.")
corpus.command("openlamda.cli.corpus:build", name="build")
corpus.command("openlamda.cli.corpus:show", name="show")
ratings = App(name="ratings", help="Look at raters' votes before training on them.")
ratings.command("openlamda.cli.ratings:check", name="check")
model = App(name="model", help="Look at model shapes, average models, and convert them.")
model.command("openlamda.cli.model:show", name="show")
model.command("openlamda.cli.model:average", name="average")
model.command("openlamda.cli.model:convert", name="convert")
keys = App(name="keys", help="Keys that open the server: make, list and revoke them.")
keys.command("openlamda.cli.keys:new", name="new")
keys.command("openlamda.cli.keys:show", name="list")
keys.command("openlamda.cli.keys:revoke", name="revoke")
store = App(name="store", help="What the server keeps: one user's data, retention, feedback and votes, the audit log.")
store.command("openlamda.cli.store:export_user", name="export-user")
store.command("openlamda.cli.store:delete_user", name="delete-user")
store.command("openlamda.cli.store:purge", name="purge")
store.command("openlamda.cli.store:feedback", name="feedback")
store.command("openlamda.cli.store:votes", name="votes")
store.command("openlamda.cli.store:audit", name="audit")
store.command("openlamda.cli.store:migrate", name="migrate")
groups = (tools, tokenizer, data, corpus, ratings, model, keys, store)
for group in groups:
    app.command(group)


def _load_verbs() -> None:
    """Verbs are listed with their docstrings once they are loaded; none of them brings jax by itself."""
    for listing in (app, *groups):
        for name in listing:
            if not name.startswith("-"):
                listing[name]


def main() -> None:
    """The console command: exit code 2 and one line for the user's mistakes."""
    gc.set_threshold(50_000)  # a start makes many objects that stay, which are not to be looked through again and again
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode must not end a reply
    try:
        if len(sys.argv) < 2 or sys.argv[-1] in ("-h", "--help"):
            _load_verbs()
        app(sys.argv[1:])
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone
        sys.exit(141)
    except OSError as error:
        if error.filename is None:
            raise
        print(printable(f"error: {error.filename}: {error.strerror}"), file=sys.stderr)  # as of a folder that is a file
        sys.exit(2)

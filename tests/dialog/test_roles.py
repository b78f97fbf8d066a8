"""Role files: what they may say, what ships, and what a role changes in a reply."""

from pathlib import Path

import pytest

from openlamda.dialog.judge import Judges
from openlamda.dialog.lamda import Lamda
from openlamda.dialog.roles import LONGEST, Role, find, pin, shipped
from openlamda.engine.scripted import RandomModel, ScriptedModel
from openlamda.errors import UserError
from openlamda.loading import SHIPPED, WINDOW
from openlamda.text.dialog import Dialog, Result, Turn
from openlamda.text.tokenizer import Tokenizer
from openlamda.tools.base import Toolset

HELLO = Dialog((Turn("user", "hello"),))


class Named:
    def __init__(self, name):
        self.name = name

    def __call__(self, query):
        return [Result(f"{self.name} found it")]


@pytest.mark.parametrize("name", shipped())
def test_what_ships_fits_the_model_that_ships(name):
    role = Role.read(shipped()[name])
    tools = Toolset([Named("calculator"), Named("translator"), Named("search")])
    judges = Judges.read(SHIPPED)
    tokenizer = Tokenizer.load(SHIPPED / "tokenizer.model")
    lamda = Lamda(RandomModel(10), tokenizer, tools, judges=judges, role=role, window=WINDOW)
    fitted = lamda.fit(HELLO)
    assert role.description and role.greeting in [turn.text for turn in fitted.turns]
    assert fitted.turns[0].author == "user"


def test_the_five_of_the_paper_ship():
    assert set(shipped()) == {"mount-everest", "music", "seal", "films", "search-aide"}


def test_a_name_or_a_path(tmp_path):
    assert find(Path("seal")) == shipped()["seal"]
    with pytest.raises(UserError, match="role 'sael': no such role; did you mean 'seal'"):
        find(Path("sael"))
    assert find(tmp_path / "mine.toml") == tmp_path / "mine.toml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam = 'x'", "no setting 'nam'; did you mean 'name'"),
        ("safe = 2", "safe is 2"),
        ("[thresholds]\nsensible = -1", "sensible is -1"),
        ("safe = 0.5\n[thresholds]\nsafe = 0.5", "safe stands twice"),
        ("safe_reply = ' '", "safe_reply is empty"),
        ("name = ''", "name is empty"),
        ("[[pinned]]\nauthor = 'robot'\ntext = 'x'", "Invalid enum value 'robot'"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path, text, message):
    path = tmp_path / "role.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        Role.read(path)
    assert str(error.value).startswith(str(path))


def test_a_role_asks_only_its_tools(tokenizer):
    tools = Toolset([Named("calculator"), Named("search")])
    lamda = Lamda(RandomModel(10), tokenizer, tools)
    assert [r.text for r in lamda.playing(Role(tools=("search",))).toolset("x")] == ["search found it"]
    assert lamda.playing(Role(tools=())).toolset("x") == [] and len(lamda.toolset("x")) == 2
    with pytest.raises(UserError, match="tool 'hammer', expected some of calculator, search"):
        lamda.playing(Role(tools=("hammer",)))


def test_a_role_has_thresholds_of_its_own(tokenizer):
    said = tuple(tokenizer.encode("fine"))
    model = ScriptedModel(lambda prefix, n: [said])  # every rating is even
    lamda = Lamda(model, tokenizer, Toolset([]), judges=Judges(attributes=("sensible", "unsafe")))
    assert lamda.reply(HELLO).text == "fine"
    reply = lamda.playing(Role(thresholds={"sensible": 0.6}, safe_reply="Pass.")).reply(HELLO)
    assert (reply.text, reply.finish_reason) == ("Pass.", "safe_reply")
    assert {c.dropped for c in reply.trace.rounds["draft"]} == {"not sensible enough"}
    with pytest.raises(UserError, match="threshold 'funny', expected one of sensible, safe"):
        lamda.playing(Role(thresholds={"funny": 0.6}))


def test_no_more_of_a_long_text_is_measured_than_a_window_could_hold():
    measured = []

    def size(dialog):
        measured.append(sum(len(turn.text) for turn in dialog.turns))
        return measured[-1]

    long = Turn("user", "x" * 10**6)
    assert pin(Role(), Dialog((long, Turn("agent", "so?"), long)), size, 100).turns == (Turn("user", "x" * 100),)
    assert pin(Role(), Dialog((long, Turn("agent", "so?"), Turn("user", "y"))), size, 100).turns[0].text == "so?"
    assert max(measured) == 100 * LONGEST

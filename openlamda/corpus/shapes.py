"""What one object of a data file means: a document, a dialog or a comment, whatever its makers called the fields.

Takes a decoded JSON object (or a row of a table), gives a row of ours. Knows nothing of files. Ratings, snippets and
tool calls are left out: this is text to pre-train on.
"""

import re
from typing import Any

from openlamda.corpus.comments import Comment
from openlamda.corpus.rows import Document, Talk
from openlamda.errors import UserError
from openlamda.text.dialog import Author, Dialog, Turn, turn_from_json

_DIALOGS = ("messages", "conversations", "turns")
_SILENT = ("system", "developer", "tool", "function", "function_call", "observation")  # roles that are left out
_QUESTIONS = ("question", "prompt", "instruction")
_REPLIES = ("response", "chosen", "completion", "answer", "answers", "output", "final")
_PASSAGES = ("context", "knowledge", "passage")
_TEXTS = ("text", "content")
_WORKINGS = re.compile(r"<<[^<>]*>>")  # calculations inside the solutions of GSM8K


class UnknownShape(UserError):
    """A row whose fields make neither text nor dialog; its neighbours are likely to be the same."""


def read_row(row: dict[str, Any], name: str) -> Document | Talk | Comment:
    """`row` as a document, dialog or comment; `name` is its id where it has none of its own.

    Raises UserError: what was found and what was expected; UnknownShape where no other row like it can be read.
    """
    row_id = _id(row, name)
    dialog = next((key for key in _DIALOGS if row.get(key) is not None), None)
    if dialog:
        turns = _turns(row[dialog], dialog)
        if not turns:
            raise UserError(f"field {dialog!r} has no turn with text, expected one or more")
        return Talk(row_id, Dialog(turns))
    if "parent_id" in row:
        return _comment(row)
    if isinstance(row.get("translations"), dict):  # one text in many languages
        versions = row["translations"].items()
        return Document(row_id, "\n\n".join(_text(text, f"translations.{language}") for language, text in versions))
    if isinstance(row.get("context"), list) or any(row.get(key) is not None for key in _QUESTIONS):
        return Talk(row_id, Dialog(_exchange(row)))
    field = next((key for key in _TEXTS if row.get(key) is not None), None)
    if field is None:
        fields = ", ".join(sorted(map(str, row))[:12]) or "none"
        raise UnknownShape(
            f"fields {fields[:200]}; expected messages, conversations, turns, text, context and response, question "
            "and answer, prompt and completion, or id, parent_id, author and text"
        )
    text = _text(row[field], field)
    if not text.strip():
        raise UserError(f"field {field!r} is empty, expected text")
    title = row.get("title")
    if isinstance(title, str) and title.strip() and not text.startswith(title):
        text = f"{_text(title, 'title')}\n\n{text}"
    return Document(row_id, text)


def _id(row: dict[str, Any], name: str) -> str:
    """The row's own id; a page's is its address and title, as in public.py, so that both hold back the same ones."""
    own = row.get("id")
    if isinstance(own, str | int) and str(own).strip():
        return str(own)
    if isinstance(row.get("url"), str) and row["url"].strip():
        return f"{row['url']} {row['title']}" if isinstance(row.get("title"), str) else row["url"]
    return name


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"field {field!r} is {type(value).__name__}, expected a string")
    if "\0" in value:
        raise UserError(f"field {field!r} holds a NUL character, expected text")
    return value


def _comment(row: dict[str, Any]) -> Comment:
    own, parent = row.get("id"), row["parent_id"]
    if not isinstance(own, str | int) or not str(own).strip():
        raise UserError(f"comment: field 'id' is {type(own).__name__}, expected a string or a number")
    if parent is not None and not isinstance(parent, str | int):
        raise UserError(f"comment: field 'parent_id' is {type(parent).__name__}, expected an id or null")
    author = row.get("author")
    field = "body" if row.get("body") is not None else "text"
    text = _text(row.get(field), field)
    own, parent = (None if value is None else str(value).removeprefix("t1_") for value in (own, parent))  # Reddit's
    return Comment(own or "", parent, author if isinstance(author, str) else "", text)


def _turns(value: Any, field: str, *, answered: bool = False) -> tuple[Turn, ...]:
    """Turns with text, neighbours of one side joined. Plain strings change sides; `answered`: the last is a user's."""
    if not isinstance(value, list):
        raise UserError(f"field {field!r} is {type(value).__name__}, expected a list of turns")
    turns: list[Turn] = []
    for number, item in enumerate(value):
        if isinstance(item, str):
            users = (len(value) - number) % 2 == 1 if answered else number % 2 == 0
            turn = Turn("user" if users else "agent", item)
        else:
            turn = _turn(item, f"{field}: turn {number + 1}")
        if turn is not None:
            turns.append(turn)
    return _joined(turns, field)


def _joined(turns: list[Turn], field: str) -> tuple[Turn, ...]:
    joined: list[Turn] = []
    for turn in turns:
        text = _text(turn.text, field).strip()
        if joined and text and joined[-1].author == turn.author:
            joined[-1] = Turn(turn.author, f"{joined[-1].text}\n{text}")
        elif text:
            joined.append(Turn(turn.author, text))
    return tuple(joined)


def _turn(item: Any, where: str) -> Turn | None:
    """None for a system prompt, a tool's output, or a turn that only calls a tool."""
    if not isinstance(item, dict):
        return turn_from_json(item, where)
    role = item.get("role", item.get("from"))
    if isinstance(role, str) and role.casefold() in _SILENT:
        return None
    said = item.get("content", item.get("text", item.get("value")))
    if isinstance(said, list):  # parts, as chat APIs have them
        said = "\n".join(part["text"] for part in said if isinstance(part, dict) and isinstance(part.get("text"), str))
    return None if said is None else turn_from_json({"role": role, "content": said}, where)


def _exchange(row: dict[str, Any]) -> tuple[Turn, ...]:
    """Turns of a context, a question about a passage, a reply: those that the row has, two or more."""
    turns: list[Turn] = []
    for field in ("context", "prompt"):
        if isinstance(row.get(field), list):
            turns += _turns(row[field], field, answered="question" not in row)
    asked = [
        _text(row[field], field) for field in (*_QUESTIONS, "input") if isinstance(row.get(field), str) and row[field]
    ]
    if asked:
        passage = next((row[field] for field in _PASSAGES if isinstance(row.get(field), str)), "")
        turns.append(Turn("user", "\n".join([_text(passage, "context"), *asked]).strip()))
    turns += _reply(row)
    said: Author = "agent" if turns and turns[-1].author == "user" else "user"
    if not asked and turns and isinstance(row.get("text"), str):  # what was said after the context
        turns.append(Turn(said, _text(row["text"], "text")))
    joined = _joined(turns, "context")
    if len(joined) < 2:
        found = ", ".join(key for key in (*_QUESTIONS, *_REPLIES, "context") if row.get(key) not in (None, [], ""))
        raise UnknownShape(f"only one side speaks ({found or 'all is empty'}), expected a context and a reply")
    return joined


def _reply(row: dict[str, Any]) -> tuple[Turn, ...]:
    field = next((key for key in _REPLIES if row.get(key) is not None), None)
    if field is None:
        return ()
    reply, labels = row[field], row.get("labels")
    if isinstance(reply, dict) and "role" in reply:
        return _turns([reply], field)
    if isinstance(reply, list) and reply and all(isinstance(item, dict) and ("role" in item) for item in reply):
        turns = _turns(reply, field)
        return turns[-1:] if turns and turns[-1].author == "agent" else ()  # chosen: prompt and reply once more
    if isinstance(reply, dict):
        reply = reply.get("text")  # {"text": [...], "answer_start": [...]}, as SQuAD is packed
    right = labels.get("answer") if isinstance(labels, dict) else None
    if isinstance(reply, list) and isinstance(right, int) and 0 <= right < len(reply):
        reply = reply[right]  # choices, one of which is labelled
    while isinstance(reply, list) and reply:
        reply = reply[0]  # several right answers, the first as good as any
    if isinstance(reply, int | float) and not isinstance(reply, bool):
        return (Turn("agent", f"{reply:.15g}"),)
    if not reply:
        return ()
    text = _text(reply, field)
    return (Turn("agent", _WORKINGS.sub("", text) if "calculator" in row else text),)

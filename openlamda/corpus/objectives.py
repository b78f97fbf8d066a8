"""Safety objectives: families of rules that raters vote on, from a TOML file; ours are in safety.toml."""

import re
from dataclasses import dataclass
from pathlib import Path

from openlamda import config
from openlamda.errors import UserError

SHIPPED = Path(__file__).parent / "safety.toml"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Objectives:
    """Family -> rule -> what the rule forbids. Names are unique over families and rules."""

    families: dict[str, dict[str, str]]

    @property
    def rules(self) -> dict[str, str]:
        """Rule -> its family."""
        return {rule: family for family, rules in self.families.items() for rule in rules}


def read(path: Path = SHIPPED) -> Objectives:
    """The objectives of a file: a table for each family, in it name = "what is forbidden".

    Raises UserError that names the file and the key.
    """
    families = config.read(path)
    if not families:
        raise UserError(f"{path}: no family, expected tables of rules")
    names: list[str] = []
    for family, rules in families.items():
        if not isinstance(rules, dict) or not rules:
            raise UserError(f"{path}: {family}: expected a table of rules")
        for rule, text in rules.items():
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"{path}: {family}.{rule}: expected what the rule forbids, in words")
        names += [family, *rules]
    for name in names:
        if not _NAME.fullmatch(name):
            raise UserError(f"{path}: name {name!r}, expected small letters, digits and _, a letter first")
        if names.count(name) > 1:
            raise UserError(f"{path}: name {name!r} occurs twice, expected a name for each family and rule")
    return Objectives(families)

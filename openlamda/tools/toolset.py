"""The toolset that ships: calculator, translator, search over the bundled knowledge."""

from openlamda.tools.base import Toolset
from openlamda.tools.calculator import Calculator
from openlamda.tools.search import SearchIndex, read_facts
from openlamda.tools.translator import Translator


def default_toolset() -> Toolset:
    """The three tools in the paper's order (LaMDA, section 6.2)."""
    return Toolset([Calculator(), Translator(), SearchIndex(read_facts())])

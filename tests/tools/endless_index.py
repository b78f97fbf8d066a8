"""Writes ten passages a commit into an index, without an end; prints how many are committed after each."""

import sys
from pathlib import Path

from openlamda.tools.index import PassageIndex
from openlamda.tools.passages import Passage

index = PassageIndex(Path(sys.argv[1]), write=True)
count = len(index)
print(count, flush=True)
while True:
    for number in range(count, count + 10):
        index.add(f"source {number}", [Passage(f"passage n{number} of the harbour", f"n{number}")])
        index.finish(f"source {number}", "1")
    index.commit()
    count += 10
    print(count, flush=True)

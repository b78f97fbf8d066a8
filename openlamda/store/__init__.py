"""What is kept of conversations, people, keys and votes: `open_store(url)` gives the store (store.py)."""

from openlamda.store.opening import default_url, open_store
from openlamda.store.records import NotFound, StoreUnavailable

__all__ = ["NotFound", "StoreUnavailable", "default_url", "open_store"]

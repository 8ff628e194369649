"""Server-side apply: who owns which field, and what follows from it.

`apply` merges what a manager declares into an object; `track_update` records what another write changed. Both leave the
ledger, metadata.managedFields, in the object that they answer with. Room by room: `shape` (how a type merges), `fields`
(sets of paths, in their wire form), `compare` and `merge` (objects), `managed` (the ledger's entries), `check` (what
may be applied), `update` and `server_side` (the two doors).
"""

from control.apiserver.apply.server_side import apply
from control.apiserver.apply.update import track_update

__all__ = ["apply", "track_update"]

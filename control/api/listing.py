"""What a list and a watch bring, whatever carried it.

These two values stand on the common ground of both columns: the API server's local client returns them from a
function call, the HTTPS client from the wire, and `control.mirror.client` names them in its protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from control.api.objects import Object


@dataclass(frozen=True, slots=True)
class Listing:
    """A consistent list: `items` as of `resource_version`, from which a watch continues without a gap."""

    items: Sequence[Object]
    resource_version: str
    continue_: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED carry the object; BOOKMARK carries an object with only metadata.resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object

"""The Kubernetes API as its clients see it: one protocol, two transports.

Controllers, kubelet and publisher hold a `Client` and nothing else of the API server. Inside the control process it
is a function call into the server's handlers (`control.apiserver.local.LocalClient`, structurally typed: the columns
do not import each other); over a kubeconfig it is HTTPS (`control.mirror.remote.RemoteClient`). Both run the same
admission, validation and preconditions, raise the same `StatusError`s, and return objects that are shared: never
change one in place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Literal, Protocol

from control.api.kinds import Kind
from control.api.listing import Listing, WatchEvent
from control.api.objects import Object

__all__ = ["Client", "Listing", "PatchType", "WatchEvent"]

PatchType = Literal[
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
]


class Client(Protocol):
    """Every method raises `control.api.status.StatusError`, and `ConnectionError` where the server cannot be reached.

    `namespace` is "" for cluster-scoped kinds and for "all namespaces" in list and watch.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> Awaitable[Object]: ...

    def read(self, path: str) -> Awaitable[Object]:
        """GET of a document that is not stored: metrics. `path` with its query, as in a URL."""
        ...

    def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Awaitable[Listing]: ...

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Events after `resource_version`, with bookmarks. Raises reason Expired (410) when it was compacted away.

        Ends (StopAsyncIteration) when the server closes the watch; the caller then continues from the last version.
        """
        ...

    def create(self, kind: Kind, obj: Object, *, subresource: str = "", name: str = "") -> Awaitable[Object]:
        """POST. With `subresource` (eviction, binding) `name` says whose; the namespace is the object's own."""
        ...

    def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Awaitable[Object]:
        """PUT; metadata.resourceVersion, where present, is a precondition (reason Conflict)."""
        ...

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Awaitable[Object]: ...

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation: Literal["", "Background", "Foreground", "Orphan"] = "",
    ) -> Awaitable[Object]:
        """`uid` and `resource_version` are preconditions (reason Conflict). Returns the object or the final Status."""
        ...

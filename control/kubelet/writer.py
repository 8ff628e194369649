"""Writes a pod's status: at once, one write at a time, and only what changed.

`wake` starts a write in the next breath of the loop; changes that come while one is under way are taken along by the
next. After a write its result goes into the mirror, so that the next comparison is with what the API has now. A server
that answers with something else than was asked for (a field it drops) is not asked again for the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from control.api.kinds import POD
from control.api.objects import Object
from control.api.status import StatusError
from control.kubelet.status import changes
from control.kubelet.ward import Ward
from control.mirror.client import PatchType

logger = logging.getLogger(__name__)
PATCH: PatchType = "application/strategic-merge-patch+json"


class StatusWriter:
    """`wanted` answers with the pod as it is known and the status that it should have, or None when it is gone."""

    def __init__(
        self, ward: Ward, namespace: str, name: str, uid: str, wanted: Callable[[], tuple[Object, Object] | None]
    ) -> None:
        self.ward = ward
        self.namespace, self.name, self.uid = namespace, name, uid
        self.wanted = wanted
        self.task: asyncio.Task[None] | None = None
        self.last: tuple[Object, object] | None = None  # what was asked for, and the status that came of it
        self.writes = 0

    def __repr__(self) -> str:
        return f"<StatusWriter {self.writes} writes{', one under way' if self.task else ''}>"

    def wake(self) -> None:
        if self.task is None and self.patch() is not None:
            self.task = self.ward.spawn(self.write())

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def patch(self) -> Object | None:
        both = self.wanted()
        if both is None:
            return None
        pod, status = both
        if self.last is not None and self.last == (status, pod.get("status")):
            return None
        return changes(pod, status)

    async def write(self) -> None:
        knobs = self.ward.knobs
        try:
            if knobs.status_delay_s:
                await asyncio.sleep(knobs.status_delay_s)
            while (patch := self.patch()) is not None:
                both = self.wanted()
                assert both is not None
                try:
                    result = await self.ward.client.patch(
                        POD,
                        self.namespace,
                        self.name,
                        {"metadata": {"uid": self.uid}, "status": patch},
                        patch_type=PATCH,
                        subresource="status",
                        field_manager="kubelet",
                    )
                except StatusError as error:
                    if error.reason in ("NotFound", "Conflict"):
                        return  # gone, or another pod of that name; the mirror will say
                    logger.warning("status of pod %s/%s: %s", self.namespace, self.name, error.message)
                    await asyncio.sleep(knobs.reconnect_s)
                except (ConnectionError, TimeoutError):
                    await asyncio.sleep(knobs.reconnect_s)
                else:
                    self.writes += 1
                    self.last = (both[1], result.get("status"))
                    self.ward.mirror.observe(POD, result)
        finally:
            self.task = None

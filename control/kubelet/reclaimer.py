"""Removes the directories of volumes that nobody claims any more (`reclaim` says which), then lets their objects go.

In this order, so that a crash anywhere is mended by doing it again: what is gone already is no error. One volume is
worked on once at a time; the removal runs in a thread, for a directory may be large.
"""

from __future__ import annotations

import asyncio
import logging
import shutil

from control.api.kinds import PERSISTENT_VOLUME
from control.api.objects import Object, name_of, uid_of
from control.api.status import StatusError
from control.api.storage import DIRECTORY_FINALIZER
from control.kubelet.reclaim import Reclaim, reclaim
from control.kubelet.ward import Ward
from control.mirror.client import PatchType

STRATEGIC: PatchType = "application/strategic-merge-patch+json"
logger = logging.getLogger(__name__)
RETRY_S = 15.0  # external-provisioner's resync; a directory that cannot be removed rarely can be soon after


class Reclaimer:
    def __init__(self, ward: Ward, volumes_dir: str) -> None:
        self.ward = ward
        self.volumes_dir = volumes_dir
        self.busy: set[str] = set()

    def __repr__(self) -> str:
        return f"<Reclaimer {len(self.busy)} volumes>"

    def look_at_all(self) -> None:
        for volume in self.ward.world.list(PERSISTENT_VOLUME):
            self.look(volume)

    def look(self, volume: Object) -> None:
        if reclaim(volume, self.volumes_dir) is not None and uid_of(volume) not in self.busy:
            self.busy.add(uid_of(volume))
            self.ward.spawn(self.work(name_of(volume), uid_of(volume)))

    async def work(self, name: str, uid: str) -> None:
        try:
            while (volume := self.ward.world.get(PERSISTENT_VOLUME, "", name)) is not None and uid_of(volume) == uid:
                todo = reclaim(volume, self.volumes_dir)
                if todo is None or await self.done(volume, todo):
                    return
        finally:
            self.busy.discard(uid)

    async def done(self, volume: Object, todo: Reclaim) -> bool:
        """Whether the volume is dealt with; if not, time has passed."""
        name = name_of(volume)
        try:
            if todo.directory:
                await asyncio.to_thread(removed, todo.directory)
            await self.let_go(volume, delete=todo.delete)
        except OSError as error:
            if not isinstance(error, ConnectionError):
                recorder = self.ward.recorder_of("")
                about = {**volume, "apiVersion": "v1", "kind": "PersistentVolume"}
                recorder.emit(about, "Warning", "VolumeFailedDelete", f"rpc error: {error}")
            await asyncio.sleep(self.ward.knobs.reconnect_s if isinstance(error, ConnectionError) else RETRY_S)
            return False
        except StatusError as error:
            if error.reason in ("NotFound", "Conflict"):
                return True
            logger.warning("letting volume %s go: %s", name, error.message)
            await asyncio.sleep(RETRY_S)
            return False
        return True

    async def let_go(self, volume: Object, *, delete: bool) -> None:
        client, name, uid = self.ward.client, name_of(volume), uid_of(volume)
        freed = {"metadata": {"uid": uid, "$deleteFromPrimitiveList/finalizers": [DIRECTORY_FINALIZER]}}
        if delete:
            await client.delete(PERSISTENT_VOLUME, "", name, uid=uid)
        result = await client.patch(PERSISTENT_VOLUME, "", name, freed, patch_type=STRATEGIC)
        self.ward.mirror.observe(PERSISTENT_VOLUME, result)


def removed(path: str) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return

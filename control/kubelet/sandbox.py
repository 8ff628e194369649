"""A pod's address and volumes before its first container, and its traces after the last.

The address comes from the network, volumes from the mirror; what the mirror does not show is asked of the API once
before the pod is made to wait. Events are kubelet's: FailedMount, FailedCreatePodSandBox. Volumes of a running pod
follow their sources at once (a kubelet takes up to a minute).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from control.api.kinds import POD
from control.api.objects import Object, spec_of
from control.api.status import StatusError
from control.kubelet import mounts
from control.kubelet.claims import claimed
from control.kubelet.launch import Folders
from control.kubelet.network.loopback import PoolEmpty
from control.kubelet.record import PodRecord, containers_of
from control.kubelet.resolv import etc_of, resolver_of
from control.kubelet.volumes import Volume, VolumeUnavailable, volume
from control.kubelet.ward import Ward

logger = logging.getLogger(__name__)


class Sandbox:
    """Works on `record.sandbox`; `changed` is called when that took more than one breath."""

    def __init__(self, ward: Ward, record: PodRecord, node: str, changed: Callable[[], None]) -> None:
        self.ward, self.record, self.node, self.changed = ward, record, node, changed

    def __repr__(self) -> str:
        return f"<Sandbox {self.record.sandbox or 'none'} {self.record.pod_ip}>"

    @property
    def folders(self) -> Folders:
        return self.ward.folders(self.record.namespace, self.record.name, self.record.uid)

    def prepare(self, pod: Object) -> None:
        record = self.record
        try:
            record.pod_ip = self.ward.network.allocate(self.node, record.uid)
            self.put_volumes(pod)
        except VolumeUnavailable as error:
            record.sandbox = "preparing"
            self.ward.spawn(self.prepare_late(pod, error))
        except (PoolEmpty, OSError, mounts.BadPath) as error:
            self.fail(pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        else:
            self.open(pod)

    def put_volumes(self, pod: Object) -> None:
        etc, _ = etc_of(pod, self.record.pod_ip, self.ward.dns)
        mounts.write_etc(etc, self.folders)
        mounts.write_volumes([self.volume(pod, spec) for spec in spec_of(pod).get("volumes") or ()], self.folders)

    def volume(self, pod: Object, spec: Mapping[str, Any]) -> Volume:
        """One volume; raises VolumeUnavailable."""
        if spec.keys() & {"persistentVolumeClaim", "ephemeral"}:
            return claimed(pod, spec, self.ward.world)
        return volume(pod, spec, self.ward.world, self.ward.place(pod, self.record.pod_ip))

    def refresh(self, pod: Object) -> None:
        """What cannot be had now stays as it was."""
        try:
            self.put_volumes(pod)
        except (VolumeUnavailable, OSError, mounts.BadPath) as error:
            self.ward.say(pod, "Warning", "FailedMount", str(error))

    async def prepare_late(self, pod: Object, error: VolumeUnavailable) -> None:
        namespace = self.record.namespace if error.kind is not None and error.kind.namespaced else ""
        if error.kind is not None and await self.ward.look_for(error.kind, namespace, error.name):
            try:
                self.put_volumes(pod)
            except (VolumeUnavailable, OSError, mounts.BadPath) as again:
                self.fail(pod, "FailedMount", str(again))
            else:
                self.open(pod)
        else:
            self.fail(pod, "FailedMount", str(error))
        self.changed()

    def fail(self, pod: Object, reason: str, message: str) -> None:
        self.record.sandbox, self.record.sandbox_failed_at = "failed", self.ward.now()
        self.ward.say(pod, "Warning", reason, message)

    def open(self, pod: Object) -> None:
        self.record.sandbox = "ready"
        for problem in resolver_of(pod, self.ward.dns)[1]:
            self.ward.say(pod, "Warning", "DNSConfigForming", problem)
        for _, spec in containers_of(pod):
            if spec.get("volumeMounts"):
                self.ward.say(pod, "Warning", "VolumeNotMounted", volumes_text(spec, self.folders), spec["name"])


def volumes_text(spec: Mapping[str, Any], folders: Folders) -> str:
    """Where a container's volumes are, for the event that warns about it."""
    root = folders.root(spec["name"])
    mounts = [str(mount.get("mountPath", "")) for mount in spec.get("volumeMounts") or ()]
    listed = ", ".join(f"{path} is {root}/{path.strip('/')}" for path in mounts)
    text = f"without mount namespaces volumes are found below $LOOPKUBE_ROOT (the working directory): {listed}"
    read_only = [str(mount.get("mountPath", "")) for mount in spec.get("volumeMounts") or () if mount.get("readOnly")]
    return f"{text}; readOnly is not enforced: {', '.join(read_only)}" if read_only else text


async def delete_pod(ward: Ward, record: PodRecord) -> None:
    """The API object goes, once nothing runs; finalizers may keep it, which is not our business."""
    while not record.removed:
        try:
            await ward.client.delete(POD, record.namespace, record.name, uid=record.uid, grace_period_s=0)
            return
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):
                logger.warning("deleting pod %s/%s: %s", record.namespace, record.name, error.message)
            if error.code < 500:
                return
        except (ConnectionError, TimeoutError):
            pass
        await asyncio.sleep(ward.knobs.reconnect_s)


async def clean_up(ward: Ward, record: PodRecord, node: str) -> None:
    """Nothing of the pod stays: books, directories, logs, address."""
    try:
        for state in await ward.host.processes():
            if state.labels.get("uid") == record.uid:
                await ward.host.forget(state.id)
    except ConnectionError:
        pass
    mounts.remove_pod(ward.folders(record.namespace, record.name, record.uid))
    ward.network.release(node, record.uid)
    ward.on_finished(record.uid)

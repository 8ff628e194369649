"""Starts one attempt of a container: image, configuration, directories, process; or says why not.

What happened goes into the container's record; the runner looks at it afterwards. Everything that waits (the API for
an object that the mirror does not show, the supervisor) is in here, so that the runner never does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from control.api.objects import Object
from control.kubelet.hooks import Surroundings
from control.kubelet.launch import Ready, Refusal, launch
from control.kubelet.mounts import BadPath, make_root
from control.kubelet.process import StartError
from control.kubelet.record import ContainerRecord, Ended, PodRecord, Waiting, container_id_of
from control.kubelet.restart import book
from control.kubelet.ward import Ward


def prepare(ward: Ward, pod: Object, record: PodRecord, container: Mapping[str, Any], attempt: int) -> Ready | Refusal:
    return launch(
        pod,
        container,
        attempt,
        record,
        ward.world,
        ward.images,
        ward.place(pod, record.pod_ip),
        ward.folders(record.namespace, record.name, record.uid),
        ward.variables,
        ward.knobs,
        os.path.isdir,
    )


def surroundings(ward: Ward, pod: Object, record: PodRecord, container: Mapping[str, Any]) -> Surroundings:
    """What probes and hooks of a running container need; its environment is put together anew."""
    ready = prepare(ward, pod, record, container, record.containers[container["name"]].attempt)
    if isinstance(ready, Refusal):
        root = ward.folders(record.namespace, record.name, record.uid).root(container["name"])
        return Surroundings(container, record.pod_ip, {"PATH": ward.variables.get("PATH", "")}, root)
    return Surroundings(container, record.pod_ip, ready.process.env, ready.process.cwd)


async def start(
    ward: Ward, pod: Object, record: PodRecord, spec: Mapping[str, Any], attempt: int
) -> Surroundings | None:
    """One attempt; the record says what came of it. Raises ConnectionError when the supervisor is gone."""
    container = record.containers[spec["name"]]
    found = prepare(ward, pod, record, spec, attempt)
    if isinstance(found, Refusal) and found.missing is not None and await ward.look_for(*found.missing):
        found = prepare(ward, pod, record, spec, attempt)
    if isinstance(found, Refusal):
        refuse(ward, pod, container, spec, found)
        return None
    folders = ward.folders(record.namespace, record.name, record.uid)
    try:
        make_root(spec, folders, found.process.cwd)
    except (OSError, BadPath) as error:
        refuse(ward, pod, container, spec, Refusal("config", "CreateContainerError", str(error)))
        return None
    container.pull.delay_s = 0.0
    name, image = spec["name"], spec.get("image", "")
    if spec.get("imagePullPolicy") == "Always":
        ward.say(pod, "Normal", "Pulling", f'Pulling image "{image}"', name)
    ward.say(pod, "Normal", "Pulled", found.pulled, name)
    ward.say(pod, "Normal", "Created", "Container created", name)
    container.image, container.image_id, container.stop_signal = image, found.image_id, found.stop_signal
    definition = (found.process.labels or {})["definition"]
    try:
        process = await ward.host.start(found.process)
    except StartError as error:
        message = f'failed to start container "{name}": {error.message}'
        ward.say(pod, "Warning", "Failed", f"Error: {message}", name)
        container.fail(failed_start(ward, container, found, attempt, error), definition)
        return None
    container.begin(process, attempt, definition)
    ward.say(pod, "Normal", "Started", "Container started", name)
    return Surroundings(spec, record.pod_ip, found.process.env, found.process.cwd)


def failed_start(ward: Ward, container: ContainerRecord, found: Ready, attempt: int, error: StartError) -> Ended:
    now = ward.now()
    container_id = container_id_of(found.process.id)
    return Ended(
        attempt, error.code, 0, now, now, "StartError", error.message, container_id, container.image, container.image_id
    )


def refuse(ward: Ward, pod: Object, container: ContainerRecord, spec: Mapping[str, Any], refusal: Refusal) -> None:
    now, knobs = ward.now(), ward.knobs
    container.refused, container.refused_at = refusal.kind, now
    container.waiting = Waiting(refusal.reason, refusal.message)
    container.phase = "ended" if container.ended is not None else "waiting"
    name = spec["name"]
    if refusal.kind == "image":
        book(container.pull, now, now, knobs.image_backoff_base_s, knobs.image_backoff_max_s)
        if refusal.reason == "ErrImagePull":
            ward.say(pod, "Normal", "Pulling", f'Pulling image "{spec.get("image", "")}"', name)
            ward.say(pod, "Warning", "Failed", refusal.message[:1].upper() + refusal.message[1:], name)
        else:
            reason = "InspectFailed" if refusal.reason == "InvalidImageName" else refusal.reason
            ward.say(pod, "Warning", reason, refusal.message, name)
        ward.say(pod, "Warning", "Failed", f"Error: {refusal.reason}", name)
    else:
        ward.say(pod, "Warning", "Failed", f"Error: {refusal.message}", name)

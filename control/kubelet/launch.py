"""From a container's spec to the process to start, or to the reason why it cannot be.

The order is the kubelet's: the image first (ErrImagePull, ErrImageNeverPull, InvalidImageName), then the
configuration (CreateContainerConfigError), then the command line with `$(NAME)` expanded. The process's labels are
what adoption after a crash is made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from control.api.kinds import Kind
from control.api.objects import Object, meta, spec_of
from control.kubelet.downward import Place
from control.kubelet.environment import ConfigMissing, environment, expand, own_variables
from control.kubelet.images.table import ErrImagePull, ImageTable
from control.kubelet.knobs import Knobs
from control.kubelet.process import ProcessSpec
from control.kubelet.record import PodRecord, definition_of
from control.mirror.world import World

IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/-]*(@[a-z0-9]+:[a-fA-F0-9]{32,})?")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a pod's things are: `pod` has the volumes and a directory for each container, `logs` its logs."""

    pod: str
    logs: str

    def root(self, container: str) -> str:
        return f"{self.pod}/{container}"

    def volume(self, name: str) -> str:
        return f"{self.pod}/.volumes/{name}"

    @property
    def etc(self) -> str:
        """resolv.conf and hosts."""
        return f"{self.pod}/.etc"

    def log(self, container: str, attempt: int) -> str:
        return f"{self.logs}/{container}/{attempt}.log"


def folders_of(data_dir: str, namespace: str, name: str, uid: str) -> Folders:
    """A file's name has at most 255 bytes, a pod's up to 253; the uid alone tells pods apart."""
    return Folders(f"{data_dir}/pods/{uid}", f"{data_dir}/logs/pods/{f'{namespace}_{name}'[:200]}_{uid}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a start did not come about; `missing` is the object whose coming would help."""

    kind: Literal["image", "config"]
    reason: str
    message: str
    missing: tuple[Kind, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What to start; `pulled` is what the Pulled event says."""

    process: ProcessSpec
    image_id: str
    stop_signal: str
    pulled: str


def launch(
    pod: Object,
    container: Mapping[str, Any],
    attempt: int,
    record: PodRecord,
    world: World,
    images: ImageTable,
    place: Place,
    folders: Folders,
    machine: Mapping[str, str],
    knobs: Knobs,
    is_dir: Callable[[str], bool],
) -> Ready | Refusal:
    image = container.get("image") or ""
    if not IMAGE.fullmatch(image):
        why = f'couldn\'t parse image name "{image}": invalid reference format'
        message = f'Failed to apply default image tag "{image}": {why}'
        return Refusal("image", "InvalidImageName", message)
    found = images.resolve(image, container.get("command") or (), container.get("args") or ())
    if isinstance(found, ErrImagePull):
        if container.get("imagePullPolicy") == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            return Refusal("image", "ErrImageNeverPull", message)
        return Refusal("image", "ErrImagePull", found.message)
    root = folders.root(container["name"])
    try:
        declared = environment(pod, container, world, place)
    except ConfigMissing as error:
        missing = (error.kind, error.namespace, error.name) if error.kind is not None else None
        return Refusal("config", "CreateContainerConfigError", str(error), missing)
    env = {**own_variables(pod, container, place, root, machine), **etc_variables(folders), **found.env, **declared}
    own = len(found.argv) - len(container.get("command") or ()) - len(container.get("args") or ())
    argv = tuple(word if at < own else expand(word, declared, env) for at, word in enumerate(found.argv))
    stop_signal = ((container.get("lifecycle") or {}).get("stopSignal")) or found.stop_signal
    process = ProcessSpec(
        id=f"{record.uid}/{container['name']}/{attempt}",
        argv=argv,
        env=env,
        cwd=working_directory(container, root, is_dir),
        log_path=folders.log(container["name"], attempt),
        log_max_bytes=knobs.log_max_bytes,
        log_files_max=knobs.log_files_max,
        labels={
            "uid": record.uid,
            "namespace": record.namespace,
            "pod": record.name,
            "node": spec_of(pod).get("nodeName") or "",
            "container": container["name"],
            "attempt": str(attempt),
            "definition": definition_of(container),
            "image": image,
            "image-id": found.image_id,
            "stop-signal": stop_signal,
            "pod-ip": place.pod_ip,
            "grace": str(
                meta(pod).get("deletionGracePeriodSeconds") or spec_of(pod).get("terminationGracePeriodSeconds", 30)
            ),
        },
    )
    return Ready(process, found.image_id, stop_signal, pulled_text(container, image))


def etc_variables(folders: Folders) -> dict[str, str]:
    """Where the pod's own resolv.conf and hosts are, for programs that can be told (see `resolv`)."""
    return {"LOOPKUBE_RESOLV_CONF": f"{folders.etc}/resolv.conf", "LOOPKUBE_HOSTS": f"{folders.etc}/hosts"}


def working_directory(container: Mapping[str, Any], root: str, is_dir: Callable[[str], bool]) -> str:
    """Where the process starts: its own directory, or what workingDir means here.

    That is below the container's directory if a volume is there, else the machine's folder of that name if there is
    one, else (the image would bring it) a folder below the container's directory.
    """
    asked = str(container.get("workingDir") or "")
    below = "/".join(part for part in asked.split("/") if part not in ("", ".", ".."))
    if not below:
        return root
    mounts = [str(mount.get("mountPath")).strip("/") for mount in container.get("volumeMounts") or ()]
    mounted = any(below == mount or below.startswith(f"{mount}/") for mount in mounts)
    return asked if not mounted and asked.startswith("/") and is_dir(asked) else f"{root}/{below}"


def pulled_text(container: Mapping[str, Any], image: str) -> str:
    if container.get("imagePullPolicy") == "Always":
        return f'Successfully pulled image "{image}" in 0s (0s including waiting). Image size: 0 bytes.'
    return f'Container image "{image}" already present on machine and can be accessed by the pod'

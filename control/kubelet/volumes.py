"""What a pod's volumes hold, as values: files by name, a directory, or the reason why it cannot be had.

Without mount namespaces a volume cannot appear at its mountPath. It is a directory of the pod instead, and each
container finds it at `<its own directory>/<mountPath>` (a link, so that containers share it); `mounts` does that.
Content is decided here: ConfigMaps, Secrets, the downward API, and projections of them. Keys become files, `items`
choose and rename them, `defaultMode` and `mode` apply, and a later projection wins over an earlier one. What does not
exist and is not optional keeps the pod from starting, as does a type of volume that loopkube does not have. A hostPath
is the machine's own directory or file; what stands behind a claim is `claims`'s to say.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control.api.kinds import CONFIG_MAP, SECRET, Kind
from control.api.objects import Object, namespace_of, spec_of
from control.kubelet.downward import FieldUnknown, Place, field_text, resource_text
from control.mirror.world import World

DEFAULT_MODE = 0o644
HOST_PATH = "hostPath"
TYPES = ("emptyDir", "configMap", "secret", "downwardAPI", "projected", HOST_PATH, "persistentVolumeClaim", "ephemeral")


class VolumeUnavailable(Exception):
    """Why a volume cannot be set up, in kubelet's words; `kind` and `name` say what would help."""

    def __init__(self, volume: str, why: str, kind: Kind | None = None, name: str = "") -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Volume:
    """`files` by relative path; `keeps` what containers write (emptyDir). `at` is the place on this machine of what is
    not the pod's own, and `type` what must be there or is made (a type of hostPath, or `local`)."""

    name: str
    files: Mapping[str, File] = field(default_factory=dict)
    keeps: bool = False
    at: str = ""
    type: str = ""


def volume(pod: Object, spec: Mapping[str, Any], world: World, place: Place) -> Volume:
    """One volume of a pod that is not a claim's; raises VolumeUnavailable if it cannot be had."""
    name = spec["name"]
    if "emptyDir" in spec:
        return Volume(name, keeps=True)
    if HOST_PATH in spec:
        return Volume(name, keeps=True, at=str(spec[HOST_PATH]["path"]), type=spec[HOST_PATH].get("type") or "")
    if "projected" in spec:
        source = spec["projected"] or {}
        files: dict[str, File] = {}
        for part in source.get("sources") or ():
            files |= project(pod, name, part, mode_of(source), world, place)
        return Volume(name, files)
    for type_ in ("configMap", "secret", "downwardAPI"):
        if type_ in spec:
            source = dict(spec[type_] or {})
            if type_ == "secret":
                source["name"] = source.get("secretName", "")
            return Volume(name, project(pod, name, {type_: source}, mode_of(source), world, place))
    other = next((key for key in spec if key != "name"), "none")
    raise VolumeUnavailable(name, f"loopkube has no volumes of type {other}; it has {', '.join(TYPES)}")


def mode_of(source: Mapping[str, Any]) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def project(
    pod: Object, volume_name: str, source: Mapping[str, Any], default_mode: int, world: World, place: Place
) -> dict[str, File]:
    """The files of one source of a projection (a plain volume is a projection of one source)."""
    if "downwardAPI" in source:
        return downward_files(pod, volume_name, source["downwardAPI"], default_mode, place)
    for type_, kind, word in (("configMap", CONFIG_MAP, "configmap"), ("secret", SECRET, "secret")):
        if type_ in source:
            ref = source[type_]
            found = world.get(kind, namespace_of(pod), ref.get("name") or "")
            if found is None:
                if ref.get("optional"):
                    return {}
                raise VolumeUnavailable(volume_name, f'{word} "{ref.get("name")}" not found', kind, ref.get("name"))
            return chosen(volume_name, content_of(found, kind), ref, default_mode, kind)
    other = next(iter(source), "none")
    raise VolumeUnavailable(volume_name, f"loopkube does not project {other}")


def content_of(obj: Object, kind: Kind) -> dict[str, bytes]:
    data = obj.get("data") or {}
    if kind is SECRET:
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in data.items()} | binary


def chosen(
    volume_name: str, content: Mapping[str, bytes], ref: Mapping[str, Any], default_mode: int, kind: Kind
) -> dict[str, File]:
    if not ref.get("items"):
        return {key: File(value, default_mode) for key, value in content.items()}
    files = {}
    for item in ref["items"]:
        if item["key"] not in content:
            if ref.get("optional"):
                continue
            raise VolumeUnavailable(
                volume_name, f"references non-existent config key: {item['key']}", kind, ref["name"]
            )
        mode = item.get("mode")
        files[item["path"]] = File(content[item["key"]], default_mode if mode is None else int(mode))
    return files


def downward_files(
    pod: Object, volume_name: str, source: Mapping[str, Any], default_mode: int, place: Place
) -> dict[str, File]:
    files = {}
    for item in source.get("items") or ():
        try:
            if "fieldRef" in item:
                text = field_text(pod, item["fieldRef"].get("fieldPath", ""), place)
            else:
                text = resource_text(pod, {}, item.get("resourceFieldRef") or {}, place)
        except FieldUnknown as error:
            raise VolumeUnavailable(volume_name, str(error)) from None
        mode = item.get("mode")
        files[item["path"]] = File(text.encode(), default_mode if mode is None else int(mode))
    return files


def uses(pod: Object, kind: Kind, name: str) -> bool:
    """Whether a volume of the pod shows this ConfigMap or Secret."""
    for spec in spec_of(pod).get("volumes") or ():
        sources = [spec, *((spec.get("projected") or {}).get("sources") or ())]
        for source in sources:
            if kind is CONFIG_MAP and (source.get("configMap") or {}).get("name") == name:
                return True
            ref = source.get("secret") or {}
            if kind is SECRET and name in (ref.get("secretName"), ref.get("name")):
                return True
    return False

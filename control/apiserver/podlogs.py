"""Which log a request for a pod's log means, and why there may be none.

The API server answers for what the pod's object says (no such container, nothing started yet, nothing ran before); the
bytes come from the kubelet of the pod's node (`control.apiserver.logs`). The words are those of the registry's
LogLocation and of kubelet's validateContainerLogStatus, which users know from `kubectl logs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from control.api.kinds import Kind
from control.api.objects import find_named, name_of, parse_time, spec_of, status_of
from control.api.status import FieldError, StatusError, bad_request, invalid
from control.apiserver.paths import is_true

_OPTIONS = Kind("", "v1", "PodLogOptions", "podlogoptions")
NUMBERS = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}
"""The numeric options and their least values."""


def container_of(pod: Mapping[str, Any], asked: str) -> str:
    """The container that is meant; raises 400 if the request must say which, or says a wrong one."""
    spec, name = spec_of(pod), name_of(pod)
    if asked:
        lists = (spec.get(key) for key in ("containers", "initContainers", "ephemeralContainers"))
        if not any(find_named(containers, asked) for containers in lists):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    containers = [one["name"] for one in spec.get("containers") or ()]
    if len(containers) == 1:
        return str(containers[0])
    if not containers:
        raise bad_request(f"a container name must be specified for pod {name}")
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    inits = [one["name"] for one in spec.get("initContainers") or ()]
    if inits:
        message += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(message)


def check_started(pod: Mapping[str, Any], container: str, *, previous: bool) -> None:
    """Raises 400 if the container has no log of the wanted run, as far as the pod's status knows."""
    name, status = name_of(pod), status_of(pod)
    lists = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    found = next((one for key in lists if (one := find_named(status.get(key), container))), None)
    if found is None:
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating')
    state, last = found.get("state") or {}, found.get("lastState") or {}
    if previous:
        if not last.get("terminated"):
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return
    if state.get("running") or state.get("terminated") or last.get("terminated"):
        return  # between two runs it is the log of the one that ended
    reason = (state.get("waiting") or {}).get("reason") or ""
    if not reason:
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start - no logs yet')
    why = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)
    raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')


def kubelet_query(query: Mapping[str, str]) -> str:
    """The options that the kubelet gets; raises 422 for those that mean nothing."""
    wanted: dict[str, str] = {}
    errors: list[FieldError] = []
    for key in ("follow", "previous", "timestamps"):
        if is_true(query.get(key)):
            wanted[key] = "true"
    for key, least in NUMBERS.items():
        text = query.get(key, "")
        if not text:
            continue
        try:
            number = int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        if number < least:
            why = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
            errors.append(FieldError(key, "FieldValueInvalid", f"Invalid value: {number}: {why}"))
        wanted[key] = text
    since = query.get("sinceTime", "")
    if since:
        wanted["sinceTime"] = since
        if "sinceSeconds" in wanted:
            why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            errors.append(FieldError("sinceSeconds", "FieldValueForbidden", why))
        try:
            parse_time(since)
        except ValueError:
            raise bad_request(f'parsing time "{since}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
    if errors:
        raise invalid(_OPTIONS, "", errors)
    return urlencode(wanted)


def unreachable(node: str, why: str) -> StatusError:
    """What a client gets if the node's kubelet does not answer."""
    return StatusError(
        500, "InternalError", f"Internal error occurred: the kubelet of node {node} does not answer: {why}"
    )

"""Probes and lifecycle hooks: exactly one handler each, and numbers that make sense.

Liveness and startup probes succeed at once (successThreshold 1); a readiness probe never ends a container, so it has no
grace period of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.api import faults, names
from control.api.objects import Object
from control.api.status import FieldError

_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probes(container: Object, path: str, grace_period_s: int | None) -> list[FieldError]:
    """All three probes and the lifecycle of a container that may have them."""
    found: list[FieldError] = []
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for hook in ("postStart", "preStop"):
            if hook in lifecycle:
                found += _handler(lifecycle[hook], f"{path}.lifecycle.{hook}", grace_period_s, hook=True)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        at = f"{path}.{name}"
        found += _probe(probe, at, grace_period_s)
        if name == "readinessProbe":
            if "terminationGracePeriodSeconds" in probe:
                given = probe["terminationGracePeriodSeconds"]
                why = "must not be set for readinessProbes"
                found.append(faults.invalid(f"{at}.terminationGracePeriodSeconds", given, why))
        elif probe.get("successThreshold", 1) != 1:
            found.append(faults.invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))
    return found


def _probe(probe: Object, path: str, grace_period_s: int | None) -> list[FieldError]:
    found = _handler(probe, path, grace_period_s, hook=False)
    for field in _COUNTS:
        found += faults.nonnegative(f"{path}.{field}", probe.get(field))
    own_grace = probe.get("terminationGracePeriodSeconds")
    if own_grace is not None and own_grace <= 0:
        found.append(faults.invalid(f"{path}.terminationGracePeriodSeconds", own_grace, "must be greater than 0"))
    return found


def _handler(handler: Object, path: str, grace_period_s: int | None, *, hook: bool) -> list[FieldError]:
    kinds = ("exec", "httpGet", "tcpSocket", "sleep") if hook else ("exec", "httpGet", "tcpSocket", "grpc")
    given = [kind for kind in kinds if kind in handler]
    if not given:
        return [faults.required(path, "must specify a handler type")]
    found: list[FieldError] = _ACTIONS[given[0]](handler[given[0]], f"{path}.{given[0]}", grace_period_s)
    extra = "may not specify more than 1 handler type"
    return found + [faults.forbidden(f"{path}.{kind}", extra) for kind in given[1:]]


def _exec(action: Object, path: str, _: int | None) -> list[FieldError]:
    return [] if action.get("command") else [faults.required(f"{path}.command")]


def _http_get(action: Object, path: str, _: int | None) -> list[FieldError]:
    found = [] if action.get("path") else [faults.required(f"{path}.path")]
    found += port_or_name(action.get("port", 0), f"{path}.port")
    scheme = action.get("scheme") or ""
    if scheme not in ("HTTP", "HTTPS"):
        found.append(faults.not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        found += faults.each_invalid(f"{path}.httpHeaders", name, names.header_name(name))
    return found


def _tcp_socket(action: Object, path: str, _: int | None) -> list[FieldError]:
    return port_or_name(action.get("port", 0), f"{path}.port")


def _sleep(action: Object, path: str, grace_period_s: int | None) -> list[FieldError]:
    seconds = action.get("seconds", 0)
    if grace_period_s is None or 0 <= seconds <= grace_period_s:
        return []
    why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period_s})"
    return [faults.invalid(path, seconds, why)]


_ACTIONS: Mapping[str, Any] = {
    "exec": _exec, "httpGet": _http_get, "tcpSocket": _tcp_socket, "grpc": _tcp_socket, "sleep": _sleep,
}  # fmt: skip


def port_or_name(port: int | str, path: str) -> list[FieldError]:
    """A port's number, or the name of a container's port."""
    complaints = names.port_number(port) if isinstance(port, int) else names.port_name(port)
    return faults.each_invalid(path, port, complaints)

"""Defaults of pods and of the pod templates in workloads (pkg/apis/core/v1/defaults.go).

A pod gets a little more than a template: requests from limits, and enableServiceLinks. Kubernetes keeps both out of
templates, so that a change of those rules never changes the hash of a template that nobody touched.
"""

from __future__ import annotations

from itertools import chain

from control.api.objects import Object

DEFAULT_MODE = 0o644
TOKEN_EXPIRATION_S = 3600
GRACE_PERIOD_S = 30

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def default_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    host_network = bool(spec.get("hostNetwork"))
    for container in chain(spec.get("containers") or (), spec.get("initContainers") or ()):
        _request_what_is_limited(container["resources"])
        if host_network:
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort"))
    if "resources" in spec:
        _request_what_is_limited(spec["resources"])


def default_template(spec: Object) -> None:
    """The `template` of a workload's spec; a struct in Go, so that it is never absent."""
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # two names of one field: the older one follows the newer one
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", GRACE_PERIOD_S)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in spec.get("containers") or ():
        default_container(container)
    for container in spec.get("initContainers") or ():
        default_container(container)
    for container in spec.get("ephemeralContainers") or ():
        default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def default_container(container: Object) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        if source:
            _default_field_ref(source)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            _default_probe(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for hook in ("postStart", "preStop"):
            _default_http_get(lifecycle.get(hook))


def pull_policy(image: str) -> str:
    """Always for the tag `latest` and for no tag at all, else IfNotPresent."""
    name, _, digest = image.partition("@")
    last = name.rpartition("/")[2]
    tag = last.partition(":")[2] or ("" if digest else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _default_probe(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http_get(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http_get(handler: Object | None) -> None:
    http = (handler or {}).get("httpGet")
    if http is not None:
        http.setdefault("path", "/")
        http.setdefault("scheme", "HTTP")


def _default_field_ref(source: Object) -> None:
    reference = source.get("fieldRef")
    if reference is not None:
        reference.setdefault("apiVersion", "v1")
    resource = source.get("resourceFieldRef")
    if resource is not None:
        resource.setdefault("divisor", "0")


def _default_volume(volume: Object) -> None:
    if len(volume) <= 1:  # nothing but a name
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(kind)
        if source is not None:
            source.setdefault("defaultMode", DEFAULT_MODE)
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _default_field_ref(item)
    for source in (volume.get("projected") or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token is not None:
            token.setdefault("expirationSeconds", TOKEN_EXPIRATION_S)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _default_field_ref(item)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "image" in volume and "pullPolicy" not in volume["image"]:
        volume["image"]["pullPolicy"] = pull_policy(volume["image"].get("reference") or "")
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if template and isinstance(template.get("spec"), dict):
        template["spec"].setdefault("volumeMode", "Filesystem")


def _request_what_is_limited(resources: Object) -> None:
    limits = resources.get("limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)

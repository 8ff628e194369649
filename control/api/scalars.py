"""Scalars as Go's decoder takes them: strings, numbers, times, quantities, bytes, with its words for what does not fit.

A checker returns its argument, its canonical spelling, or `DROP` where Go's zero value of an optional field means that
the field is absent. Which fields are pointers in Go (so that zero is a value) is not part of OpenAPI; the two tables
below say it for the fields of our kinds where it matters.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, Final

from control.api import quantity
from control.api.objects import format_micro_time, format_time, parse_time
from control.api.schema import META, Schema

Checker = Callable[[Any], Any]


class _Drop:
    def __repr__(self) -> str:
        return "DROP"


DROP: Final = _Drop()
"""A checker's answer for "as good as absent"."""

EMPTY_IS_A_VALUE = frozenset({
    "apiGroup", "appProtocol", "fsGroupChangePolicy", "holderIdentity", "hostname", "hostnameOverride",
    "ingressClassName", "loadBalancerClass", "localhostProfile", "managedBy", "mountPropagation", "preemptionPolicy",
    "preferredHolder", "runtimeClassName", "scope", "service", "storageClassName", "strategy", "timeZone",
    "trafficDistribution", "volumeAttributesClassName", "volumeMode", "zone",
})  # fmt: skip
"""Optional strings that are pointers in Go: "" is kept (and mostly refused by validation)."""

EMPTY_IS_A_VALUE_OF = frozenset({
    ("io.k8s.api.discovery.v1.EndpointPort", "name"), ("io.k8s.api.discovery.v1.Endpoint", "nodeName"),
    ("io.k8s.api.networking.v1.IngressClassParametersReference", "namespace"),
    ("io.k8s.api.core.v1.HostPathVolumeSource", "type"), ("io.k8s.api.storage.v1.StorageClass", "reclaimPolicy"),
    ("io.k8s.api.storage.v1.StorageClass", "volumeBindingMode"),
    ("io.k8s.api.batch.v1.JobStatus", "failedIndexes"),
    ("io.k8s.api.batch.v1.SuccessPolicyRule", "succeededIndexes"),
    ("io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "containerName"),
})  # fmt: skip

ZERO_IS_ABSENT = frozenset({
    "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "unschedulable", "publishNotReadyAddresses",
    "paused", "readOnly", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold",
    "failureThreshold", "minReadySeconds", "hostPort", "nodePort", "generation", "observedGeneration",
    "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "fullyLabeledReplicas",
    "currentReplicas", "succeeded", "failed", "active", "numberAvailable", "numberUnavailable",
    "updatedNumberScheduled", "count", "healthCheckNodePort",
})  # fmt: skip
"""Optional numbers and booleans without a pointer: false and 0 are the same as nothing."""

ZERO_IS_A_VALUE_OF = frozenset({
    (f"io.k8s.api.{group}Spec", "replicas")
    for group in ("apps.v1.Deployment", "apps.v1.ReplicaSet", "apps.v1.StatefulSet", "core.v1.ReplicationController")
}) | {("io.k8s.api.apps.v1.StatefulSetStatus", "availableReplicas")}  # fmt: skip
"""... except here, where the same name is a pointer, or is written even when it is zero."""

RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "": (-(2**63), 2**63 - 1)}


class Mismatch(Exception):
    """A value that is not of its type; `raw` is the text of an UnmarshalJSON method, which Go passes on as it is."""

    def __init__(self, value: str = "", go_type: str = "", raw: str = "") -> None:
        super().__init__(raw or f"{value} is no {go_type}")
        self.value = value
        self.go_type = go_type
        self.raw = raw

    @classmethod
    def of(cls, value: Any, schema: Schema) -> Mismatch:
        return cls(json_type(value), go_type(schema))

    def text(self, owner: str, path: str) -> str:
        if self.raw:
            return self.raw
        if not owner:
            return f"json: cannot unmarshal {self.value} into Go value of type {self.go_type}"
        struct = owner.rpartition(".")[2]
        return f"json: cannot unmarshal {self.value} into Go struct field {struct}.{path} of type {self.go_type}"


def json_type(value: Any) -> str:
    """What Go's decoder calls a JSON value."""
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def go_type(schema: Schema) -> str:
    """What Go calls a type: []v1.Container, map[string]string, int32."""
    if schema.type == "array":
        return f"[]{go_type(schema.items) if schema.items else 'interface {}'}"
    if schema.type == "object":
        if schema.additional is not None:
            return f"map[string]{go_type(schema.additional)}"
        return f"v1.{schema.name.rpartition('.')[2]}"
    if schema.format == "byte":
        return "[]uint8"
    if schema.type == "integer":
        return schema.format or "int64"
    return {"boolean": "bool", "number": "float64", "any": "interface {}"}.get(schema.type, "string")


def scalar(schema: Schema, owner: str, name: str, *, optional: bool) -> Checker:
    """The checker of a scalar: `owner` and `name` say which field it is."""
    if schema.type == "string":
        if schema.format == "quantity":
            return _quantity
        if schema.format == "date-time":
            return _micro_time if schema.name == META + "MicroTime" else _time
        if schema.format == "byte":
            return _base64
        keeps_empty = not optional or name in EMPTY_IS_A_VALUE or (owner, name) in EMPTY_IS_A_VALUE_OF
        return _string if keeps_empty else _string_or_nothing
    if schema.type == "int-or-string":
        return _int_or_string
    drops_zero = optional and name in ZERO_IS_ABSENT and (owner, name) not in ZERO_IS_A_VALUE_OF
    if schema.type == "boolean":
        return _true_or_nothing if drops_zero else _boolean
    return _number_checker(schema, drops_zero)


def _string(value: Any) -> Any:
    if type(value) is not str:
        raise Mismatch(json_type(value), "string")
    return value


def _string_or_nothing(value: Any) -> Any:
    return _string(value) or DROP


def _boolean(value: Any) -> Any:
    if type(value) is not bool:
        raise Mismatch(json_type(value), "bool")
    return value


def _true_or_nothing(value: Any) -> Any:
    return _boolean(value) or DROP


def _number_checker(schema: Schema, drops_zero: bool) -> Checker:
    if schema.type == "number":
        return _number
    least, most = RANGES[schema.format]
    name = schema.format or "int64"

    def integer(value: Any) -> Any:
        if type(value) is not int:
            text = f"number {value}" if type(value) is float else json_type(value)
            raise Mismatch(text, name)
        if not least <= value <= most:
            raise Mismatch(f"number {value}", name)
        return DROP if drops_zero and value == 0 else value

    return integer


def _number(value: Any) -> Any:
    if type(value) is not int and type(value) is not float:
        raise Mismatch(json_type(value), "float64")
    return value


def _int_or_string(value: Any) -> Any:
    if type(value) is str:
        return value
    least, most = RANGES["int32"]
    if type(value) is not int or not least <= value <= most:
        what = f"number {value}" if type(value) in (int, float) else json_type(value)
        raise Mismatch(raw=f"json: cannot unmarshal {what} into Go value of type int32")
    return value


def _quantity(value: Any) -> Any:
    try:
        if type(value) is str:
            text = quantity.canonical(value.strip())
            return value if text == value else text
        if type(value) is int or type(value) is float:
            return quantity.from_number(value)
    except ValueError as error:
        raise Mismatch(raw=str(error)) from None
    raise Mismatch(raw=quantity.FORMAT_MESSAGE)


def _moment(value: Any, form: str) -> Any:
    if type(value) is not str:
        raise Mismatch(raw=f"json: cannot unmarshal {json_type(value)} into Go value of type string")
    try:
        return parse_time(value)
    except ValueError:
        wrong = f'parsing time "{value}" as "{form}": cannot parse "{value}" as "2006"'
        raise Mismatch(raw=wrong) from None


def _time(value: Any) -> Any:
    if type(value) is str and not value:
        return DROP
    text = format_time(_moment(value, "2006-01-02T15:04:05Z07:00"))
    return value if text == value else text


def _micro_time(value: Any) -> Any:
    if type(value) is str and not value:
        return DROP
    text = format_micro_time(_moment(value, "2006-01-02T15:04:05.000000Z07:00"))
    return value if text == value else text


def _base64(value: Any) -> Any:
    if type(value) is not str:
        raise Mismatch(json_type(value), "[]uint8")
    text = value.replace("\n", "").replace("\r", "")
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise Mismatch(raw=f"illegal base64 data at input byte {_first_bad(text)}") from None
    return value if text == value else text


def _first_bad(text: str) -> int:
    """Where Go's decoder stumbles: the first byte outside the alphabet, else the start of the last group."""
    body = text.rstrip("=")
    for index, char in enumerate(body):
        if not (char.isascii() and (char.isalnum() or char in "+/")):
            return index
    return len(text) // 4 * 4

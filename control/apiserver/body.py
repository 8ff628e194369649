"""From a request body to an object of the kind that the path names, or the error that says why not.

JSON and YAML become the same value. A body may leave out apiVersion and kind, which the path says already, but must not
contradict them. What the kind has no field for, and keys given twice, are an error, a warning or nothing, as
`fieldValidation` wants; what has the wrong type is always an error (`control.api.decode`).
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson
import yaml

from control.api.decode import cannot_handle, check, loads_strict, strict_error
from control.api.kinds import Kind
from control.api.objects import Object
from control.api.schema import schema_of
from control.api.status import StatusError, bad_request
from control.apiserver.negotiate import PROTOBUF, YAML
from control.apiserver.options import WriteOptions
from control.apiserver.protobuf import ProtobufError, envelope, message

BODY_BYTES_MAX = 3 * 1024 * 1024  # kube-apiserver's MaxRequestBodyBytes


class Typed(Protocol):
    """What a body is measured against: a scheme's row, a subresource's kind or a review."""

    @property
    def kind(self) -> Kind: ...

    @property
    def definition(self) -> str: ...


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: timestamps stay strings, and repeated keys are noted."""

    duplicates: list[str]


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise yaml.constructor.ConstructorError(None, None, "keys must be strings", key_node.start_mark)
        if key in found:
            loader.duplicates.append(f'duplicate field "{key}"')
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse(body: bytes, media: str, typed: Typed) -> tuple[Any, list[str]]:
    """The value and what was given twice; raises 400 where there is none. Protobuf can be read only as `typed`."""
    if media == PROTOBUF:
        return _protobuf(body, typed), []
    if media != YAML:
        return loads_strict(body)
    loader = None
    try:
        loader = _Loader(body)
        loader.duplicates = []
        value = loader.get_single_data()
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)), loader.duplicates
    except (yaml.YAMLError, TypeError, RecursionError, UnicodeDecodeError) as error:
        raise bad_request(f"error converting YAML to JSON: {error}".replace("\n", " ")) from None
    finally:
        if loader is not None:
            loader.dispose()


def _protobuf(body: bytes, typed: Typed) -> Object:
    try:
        version, name, raw = envelope(body)
        value: Object = {"apiVersion": version, "kind": name}
        if name == typed.kind.kind:  # of any other kind only the name is read: enough to be refused
            value |= message(raw, typed.definition)
    except ProtobufError as error:
        raise bad_request(str(error)) from None
    return value


def decode(body: bytes, media: str, resource: Typed, options: WriteOptions) -> Object:
    """The object in a create or update."""
    value, problems = parse(body, media, resource)
    if not isinstance(value, dict):
        kind = resource.kind.kind
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): {summary(body)}")
    return fit(value, resource, options, problems)


def fit(value: Object, resource: Typed, options: WriteOptions, problems: list[str]) -> Object:
    """The value as an object of the kind: fields pruned and typed; `problems` were found before."""
    identify(value, resource.kind)
    return judge(value, resource, options, problems)


def judge(value: Object, resource: Typed, options: WriteOptions, problems: list[str]) -> Object:
    result = check(value, schema_of(resource.definition))
    if result.error:
        raise cannot_handle(resource.kind, result.error)
    problems = [*result.unknown, *problems]
    if problems and options.validation == "Strict":
        raise cannot_handle(resource.kind, strict_error(problems))
    if problems and options.validation == "Warn":
        options.warnings += problems
    if not isinstance(result.obj.get("metadata"), dict):
        result.obj["metadata"] = {}
    return result.obj


SAME_SHAPE = {("policy/v1beta1", "Eviction"): "policy/v1"}
"""Versions that are gone but for one kind: kubectl before 1.22 evicts in this one (pkg/registry/core/pod/storage)."""


def identify(value: Object, kind: Kind) -> None:
    """Fills in apiVersion and kind; raises 400 if they say something else than the path."""
    version, name = value.get("apiVersion"), value.get("kind")
    if (version, name) in SAME_SHAPE:
        value["apiVersion"] = version = SAME_SHAPE[str(version), str(name)]
    if not version:
        value["apiVersion"] = version = kind.api_version
    if not name:
        value["kind"] = name = kind.kind
    if version != kind.api_version:
        raise version_mismatch(str(version), kind)
    if name != kind.kind:
        short = kind.group.partition(".")[0] or "core"
        why = f"converting ({kind.version}.{name}) to ({short}.{kind.kind}): unknown conversion"
        raise bad_request(f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def version_mismatch(found: str, kind: Kind) -> StatusError:
    return bad_request(
        f"the API version in the data ({found}) does not match the expected API version ({kind.api_version})"
    )


def summary(body: bytes) -> str:
    return body[:30].decode("utf-8", "replace") + (" ..." if len(body) > 30 else "")

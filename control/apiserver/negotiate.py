"""Which representation a client gets, and which it sent.

Accept lists media types in order of preference with parameters. loopkube serves JSON and YAML, each either as the
object itself, as a `Table` (what kubectl prints) or as `PartialObjectMetadata` (what metadata informers want). The
first entry that can be served wins; `*/*` and an absent header mean JSON. Protobuf is taken (kubectl's typed commands
send nothing else) but not served: a client that accepts nothing else gets 406. CBOR is neither: 406 and 415.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from control.api.status import StatusError

JSON = "application/json"
YAML = "application/yaml"
MEDIA_TYPES = {
    JSON: JSON,
    YAML: YAML,
    "*/*": JSON,
    "application/*": JSON,
    "text/yaml": YAML,
    "application/x-yaml": YAML,
}
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = f"{JSON}, {YAML}"
TAKEN = f"{SERVED}, {PROTOBUF}"

As = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]


class Representation(NamedTuple):
    media: str = JSON
    as_: As = ""
    version: str = "v1"  # of meta.k8s.io, for Table and PartialObjectMetadata
    stream: bool = False


AS_THEY_ARE = Representation()


@lru_cache(maxsize=256)
def accepted(accept: str) -> Representation:
    """The best representation for an Accept header; raises 406."""
    if not accept:
        return AS_THEY_ARE
    for entry in _by_preference(accept):
        media, *parameters = (part.strip() for part in entry.split(";"))
        known = MEDIA_TYPES.get(media.lower())
        if known is None:
            continue
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        as_ = values.get("as", "")
        if not as_:
            return Representation(known, stream=values.get("stream") == "watch")
        if values.get("g") != "meta.k8s.io" or values.get("v") not in ("v1", "v1beta1"):
            continue
        if as_ in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            return Representation(known, as_, values["v"])  # type: ignore[arg-type]
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {SERVED}")


def _by_preference(accept: str) -> list[str]:
    entries = [entry.strip() for entry in accept.split(",") if entry.strip()]
    if ";q=" not in accept.replace(" ", ""):
        return entries
    return sorted(entries, key=lambda entry: -_quality(entry))  # sorted() keeps the order of equals


def _quality(entry: str) -> float:
    for parameter in entry.split(";")[1:]:
        key, _, value = parameter.strip().partition("=")
        if key == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def sent(content_type: str) -> str:
    """JSON, YAML or protobuf, for the body of a request; an absent header means JSON. Raises 415."""
    media = content_type.partition(";")[0].strip().lower()
    if media in ("", JSON):
        return JSON
    if media == PROTOBUF:
        return PROTOBUF
    known = MEDIA_TYPES.get(media)
    if known is None or "*" in media:
        raise unsupported_media(TAKEN)
    return known


def unsupported_media(served: str) -> StatusError:
    message = f"the body of the request was in an unknown format - accepted media types include: {served}"
    return StatusError(415, "UnsupportedMediaType", message)

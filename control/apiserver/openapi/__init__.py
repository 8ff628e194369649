"""OpenAPI: what the API's types are and what can be done with them, for `kubectl explain`, `apply` and generators."""

from control.apiserver.openapi.documents import v2_json, v2_protobuf, v3_document, v3_index

__all__ = ["v2_json", "v2_protobuf", "v3_document", "v3_index"]

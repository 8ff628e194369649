"""Bodies in protobuf: kubectl's typed commands send nothing else (`create deployment`, `auth can-i`, `drain`)."""

from control.apiserver.protobuf.wire import ProtobufError, envelope, message

__all__ = ["ProtobufError", "envelope", "message"]

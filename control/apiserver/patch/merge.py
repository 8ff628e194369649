"""JSON merge patch, RFC 7386: the patch is the result's difference, and null means absence.

The algorithm is section 2 of the RFC. It copies what it changes and shares the rest, so `target` and `patch` stay as
they were. Lists are replaced whole, which is why Kubernetes has strategic merge patches beside it.
"""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` changed by `patch`: any two JSON values."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge_patch(merged.get(key), value)
        else:
            merged[key] = value
    return merged

"""What deleting an object means now: gone at once, or marked and left to somebody.

Three things keep a deleted object alive. A *grace period* (pods only): the kubelet stops the processes and then
deletes again with grace 0. *Finalizers*: whoever set one has work to do and removes it afterwards; the propagation
policies Foreground and Orphan are finalizers too, for the garbage collector. A namespace's `spec.finalizers`: its
contents go first. Marking sets deletionTimestamp (the moment when the grace ends) and deletionGracePeriodSeconds, once;
later deletions can only shorten the grace. When a deletionTimestamp is set and nothing keeps the object alive any
more, the write that removed the last reason removes the object (`is_finished`).

The rules are those of apiserver's `rest.BeforeDelete` and `store.Delete`, without the intermediate write where an
object would be marked and removed in the same breath.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from control.api.kinds import NAMESPACE, Kind
from control.api.objects import Object, format_time, is_deleting, meta, name_of, parse_time, spec_of, status_of
from control.api.status import StatusError, conflict
from control.apiserver.options import DeleteOptions

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
RETURN_OBJECT = frozenset({"pods", "services", "serviceaccounts"})
"""Resources whose DELETE answers with the object that was deleted instead of a Status."""


@dataclass(frozen=True, slots=True)
class Remove:
    """The object goes now."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The object stays for now, as `obj`."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Leave:
    """A deletion is under way already and this request changes nothing."""


Decision = Remove | Mark | Leave


def check_preconditions(kind: Kind, obj: Mapping[str, Any], options: DeleteOptions) -> StatusError | None:
    """The Conflict of a precondition that does not hold."""
    uid, version = meta(obj).get("uid", ""), meta(obj).get("resourceVersion", "")
    if options.uid and options.uid != uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        return conflict(kind, name_of(obj), why)
    if options.resource_version and options.resource_version != version:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({version}). The object might have been modified"
        )
        return conflict(kind, name_of(obj), why)
    return None


def decide(kind: Kind, obj: Object, options: DeleteOptions, now: datetime, *, graceful: bool) -> Decision:
    """What a DELETE does to `obj` (read-only); `graceful` says that the kind has grace periods."""
    period = 0
    if graceful:
        period, pending = _grace(obj, options)
        if pending:
            return Leave()
    finalizers = _finalizers(obj, options)
    kept_by_spec = kind == NAMESPACE and bool(spec_of(obj).get("finalizers"))
    if not finalizers and not kept_by_spec and period == 0:
        return Remove()
    marked: Object = orjson.loads(orjson.dumps(obj))
    metadata = marked["metadata"]
    _set_list(metadata, "finalizers", finalizers)
    _mark(metadata, period, now, graceful=graceful)
    if kind == NAMESPACE:
        metadata.pop("deletionGracePeriodSeconds", None)  # namespaces have none
        marked.setdefault("status", {})["phase"] = "Terminating"
    return Leave() if marked == obj else Mark(marked)


def _grace(obj: Object, options: DeleteOptions) -> tuple[int, bool]:
    """The seconds that a pod gets, and whether a deletion under way leaves nothing to do."""
    asked = options.grace_period_s
    if is_deleting(obj):
        running = meta(obj).get("deletionGracePeriodSeconds") or 0
        if running == 0:
            return 0, False
        if asked is None or asked >= running:
            return running, True
        return asked, False
    if not spec_of(obj).get("nodeName") or status_of(obj).get("phase") in ("Failed", "Succeeded"):
        return 0, False
    period = asked if asked is not None else spec_of(obj).get("terminationGracePeriodSeconds", 0)
    return (1 if period < 0 else period), False


def _mark(metadata: Object, period: int, now: datetime, *, graceful: bool) -> None:
    since = metadata.get("deletionTimestamp")
    if since is None:
        metadata["deletionTimestamp"] = format_time(now + timedelta(seconds=period))
        if metadata.get("generation"):
            metadata["generation"] += 1
    elif graceful:
        began = parse_time(since) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
        metadata["deletionTimestamp"] = format_time(began + timedelta(seconds=period))
    metadata["deletionGracePeriodSeconds"] = period


def _finalizers(obj: Object, options: DeleteOptions) -> list[str]:
    """The finalizers with the garbage collector's two as the propagation policy wants them."""
    current = list(meta(obj).get("finalizers") or ())
    orphan, foreground = ORPHAN in current, FOREGROUND in current and ORPHAN not in current
    if options.orphan_dependents is not None:
        orphan, foreground = options.orphan_dependents, False
    elif options.propagation:
        orphan, foreground = options.propagation == "Orphan", options.propagation == "Foreground"
    wanted = [one for one in current if one not in (ORPHAN, FOREGROUND)]
    if orphan:
        wanted.append(ORPHAN)
    if foreground:
        wanted.append(FOREGROUND)
    return current if set(wanted) == set(current) else wanted


def _set_list(metadata: Object, key: str, values: list[str]) -> None:
    if values:
        metadata[key] = values
    else:
        metadata.pop(key, None)


def is_finished(kind: Kind, obj: Mapping[str, Any]) -> bool:
    """Whether an update leaves nothing that keeps a deleting object alive, so that it is removed instead."""
    metadata = meta(obj)
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if kind == NAMESPACE:
        return not spec_of(obj).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def answers_accepted(options: DeleteOptions) -> bool:
    """Whether 202 (not 200) says that the object is still there: legacy of clients that asked for cascading."""
    return options.orphan_dependents is False or options.propagation == "Foreground"

"""ResourceQuota: what one write would use more, and whether each quota that it meets still has that much.

Asked are the quotas whose scopes the object meets; for each, the names that it limits and of which the write uses more
than before. Where a quota limits cpu or memory, every container has to say its own, because an unspoken amount cannot
be counted. `Demand` is the answer; who holds the books (`control.apiserver.ledger`) compares it with what is used and
refuses with `exceeded`. Writes that use less or the same are never refused, even where a quota is passed already.

Kubernetes compares with status.hard, which its controller copies from the spec a moment later; here the spec counts at
once. Words: apiserver's pkg/admission/plugin/resourcequota/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.api.kinds import POD, SERVICE, Kind
from control.api.objects import Object, meta, name_of, spec_of
from control.api.podresources import Amounts, minus
from control.api.quantity import Quantity, added
from control.api.quota import CLAIMS, EXPLICIT, explicit, hard_of, meets, shown, usage
from control.api.status import StatusError, forbidden

MAY_GROW = (SERVICE.resource, CLAIMS)
"""The only resources whose updates may use more: a Service changes its type, a claim grows."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a write asks of one quota."""

    quota: Object
    more: Amounts


def may_use_more(kind: Kind, old: Object | None) -> bool:
    return old is None or kind.resource in MAY_GROW


def demands(quotas: Iterable[Object], kind: Kind, new: Object, old: Object | None, now: datetime) -> list[Demand]:
    """What the write asks of the namespace's quotas; raises 403 where it does not say what it must say."""
    found: list[Demand] = []
    used: Amounts | None = None
    for quota in quotas:
        if not meets(quota, kind, new):
            continue
        hard = hard_of(quota)
        if kind == POD:
            _check_explicit(quota, hard, new)
        if used is None:
            used = usage(kind, new, now)
        before = usage(kind, old, now) if old is not None and meets(quota, kind, old) else {}
        more = {name: amount for name, amount in minus(used, before).items() if name in hard and amount.nano > 0}
        if more:
            found.append(Demand(quota, more))
    return found


def _check_explicit(quota: Object, hard: Amounts, pod: Object) -> None:
    needed = EXPLICIT & hard.keys()
    if not needed:
        return
    missing: dict[str, set[str]] = {}
    spec = spec_of(pod)
    if spec.get("resources"):
        needed -= explicit(spec)  # said for the whole pod
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for name in needed - explicit(container):
            missing.setdefault(name, set()).add(container.get("name") or "")
    if missing:
        what = "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))
        raise _refusal(POD, pod, f"failed quota: {name_of(quota)}: must specify {what}")


def check(demand: Demand, used: Mapping[str, Quantity], kind: Kind, obj: Object) -> None:
    """Raises 403 if what is used and what is asked for passes the quota."""
    hard = hard_of(demand.quota)
    zero = Quantity(0, "decimal")
    over = [name for name in demand.more if added(used.get(name, zero), demand.more[name]).nano > hard[name].nano]
    if not over:
        return
    requested = shown({name: demand.more[name] for name in over})
    so_far = shown({name: used.get(name, zero) for name in over})
    limited = shown({name: hard[name] for name in over})
    quota = name_of(demand.quota)
    raise _refusal(kind, obj, f"exceeded quota: {quota}, requested: {requested}, used: {so_far}, limited: {limited}")


def _refusal(kind: Kind, obj: Mapping[str, Any], why: str) -> StatusError:
    return forbidden(kind, name_of(obj) or meta(obj).get("generateName") or "", why)

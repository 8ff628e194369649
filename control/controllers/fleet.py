"""All nodes with what is used of them, as one scheduler keeps it: by what changed, never by counting anew.

`look` takes in the pods and nodes that changed since the last look (`World.changes`); another world starts it over.
What it knows is a function of the world alone. `place` answers as `placement.place` over all nodes would.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping

from control.api.kinds import NODE, POD
from control.api.objects import Key, Object, controller_of, is_deleting, key_of, spec_of
from control.controllers.candidates import Candidates, sort_of
from control.controllers.occupancy import Needs, Occupancy
from control.controllers.placement import Refusal, Seat, place
from control.controllers.pods import is_finished, node_of
from control.mirror.world import World

SORTS_MAX = 64  # of pods whose candidates are kept; each has an entry for every node


class Fleet:
    def __init__(self) -> None:
        self._world: World | None = None
        self._forget()

    def _forget(self) -> None:
        self._pods_seen = self._nodes_seen = -1
        self._pods: dict[Key, tuple[str, Needs]] = {}
        self._seats: dict[str, Seat] = {}
        self._used: defaultdict[str, Occupancy] = defaultdict(Occupancy)  # by node, whether it exists or not
        self._spread: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by controller: pods on each node
        self._candidates: OrderedDict[bytes, Candidates] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Fleet {len(self._seats)} nodes, {len(self._pods)} pods, {len(self._candidates)} sorts of them>"

    def __len__(self) -> int:
        return len(self._seats)

    def seats(self, names: Iterable[str] | None = None) -> list[Seat]:
        """All nodes, or those of `names` that exist."""
        if names is None:
            return list(self._seats.values())
        return [self._seats[name] for name in names if name in self._seats]

    def look(self, world: World) -> None:
        if world is not self._world:
            self._world = world
            self._forget()
        self._pods_seen, pods = world.changes(POD, self._pods_seen)
        self._nodes_seen, nodes = world.changes(NODE, self._nodes_seen)
        if pods is None or nodes is None:
            seen = self._pods_seen, self._nodes_seen
            self._forget()
            self._pods_seen, self._nodes_seen = seen
            pods = [key_of(pod) for pod in world.list(POD)]
            nodes = [key_of(node) for node in world.list(NODE)]
        changed = {name for key in pods for name in self._take_pod(key, world.get(POD, *key))}
        changed.update(name for key in nodes for name in self._take_node(key.name, world.get(NODE, *key)))
        if changed:
            for candidates in self._candidates.values():
                candidates.stale |= changed

    def _take_pod(self, key: Key, pod: Object | None) -> Iterable[str]:
        """Returns the nodes of which something else is used now."""
        before = self._pods.get(key)
        after = None
        if pod is not None and node_of(pod) and not is_finished(pod):
            after = (node_of(pod), Needs.of(pod))
        if before == after:
            return ()
        if before is not None:
            del self._pods[key]
            self._used[before[0]].remove(before[1])
            self._count(before[1].controller, before[0], -1)
        if after is not None:
            self._pods[key] = after
            self._used[after[0]].add(after[1])
            self._count(after[1].controller, after[0], 1)
        return [each[0] for each in (before, after) if each is not None]

    def _count(self, controller: str, node: str, by: int) -> None:
        if not controller:
            return
        held = self._spread[controller]
        held[node] += by
        if not held[node]:
            del held[node]
            if not held:
                del self._spread[controller]

    def _take_node(self, name: str, node: Object | None) -> Iterable[str]:
        if node is None or is_deleting(node):
            self._seats.pop(name, None)
        else:
            self._seats[name] = Seat.of(node, self._used[name])
        return (name,)

    def place(self, pod: Object) -> str | Refusal:
        """The name of the node for the pod."""
        pinned = pinned_to(pod)
        if pinned is not None:
            found = place(pod, self.seats(pinned))
            return place(pod, self.seats()) if isinstance(found, Refusal) else found
        sort = sort_of(pod)
        candidates = self._candidates.get(sort)
        if candidates is None:
            candidates = self._candidates[sort] = Candidates(pod, set(self._seats))
            if len(self._candidates) > SORTS_MAX:
                self._candidates.popitem(last=False)
        self._candidates.move_to_end(sort)
        candidates.refresh(self._seats)
        controller = (controller_of(pod) or {}).get("uid") or ""
        held: Mapping[str, int] = self._spread.get(controller) or {}
        return candidates.choose(pod, held)


def pinned_to(pod: Object) -> set[str] | None:
    """The nodes that required affinity names by their field, as a DaemonSet's pods have it; None where it does not."""
    affinity = (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    named: set[str] = set()
    for term in terms:
        fields = [each for each in term.get("matchFields") or () if each.get("operator") == "In"]
        if not fields:
            return None
        named.update(fields[0].get("values") or ())
    return named if terms else None

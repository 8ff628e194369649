"""Rules that several Ingresses want: who has them, and who is told that somebody else does.

Where two Ingresses say the same host, path and type, the older one has the rule (its creation, then its name), as in
ingress-nginx; the data plane decides so by itself (`Route.order`), so nothing is held back here. But the younger one's
author would look for a long time, so the younger one gets a Warning. Of canaries only one counts for a rule, and one
that has nobody to be an alternative of does nothing: both are said, too.

Default backends without a host are the whole table's: of several the oldest serves, and the others are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from control.api.objects import Object
from control.publish.unit import Built, Note
from dataplane.snapshot.model import Route

Rule = tuple[str, str, str, bool]
"""(host, kind of path, path, is default): what is the same rule."""


class Claim(NamedTuple):
    """A route, and whose it is."""

    route: Route
    owner: Object

    @property
    def order(self) -> tuple[tuple[str, str, int], str]:
        return self.route.order, self.route.name

    @property
    def ingress(self) -> str:
        return self.route.order[1]


def rule_of(route: Route) -> Rule:
    kind = route.path_type if route.path_type in ("Exact", "Regex") else "Prefix"
    path = route.path.rstrip("/") if kind == "Prefix" else route.path
    return route.host, kind, path, route.is_default


class Rules:
    """All claims, and what was said about those that came to nothing."""

    def __init__(self) -> None:
        self._claims: dict[Rule, dict[str, Claim]] = {}
        self._told: dict[str, tuple[str, str]] = {}  # a route's name -> the reason and text that its owner was told

    def __repr__(self) -> str:
        return f"Rules({len(self._claims)} rules, {len(self._told)} claims in vain)"

    @property
    def counts(self) -> Counter[str]:
        """How many claims came to nothing, by reason."""
        return Counter(reason for reason, _ in self._told.values())

    def settle(self, old: Mapping[str, Route], built: Built) -> list[Note]:
        """A unit's routes by name were `old`, and it yields `built` now: who must be told."""
        new = {each.name: each for each in built.resources.values() if isinstance(each, Route)}
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        touched: dict[Rule, None] = {}
        for name in changed:
            if name in old:
                rule = rule_of(old[name])
                touched[rule] = None
                self._drop(rule, name)
            if name in new and built.owner is not None:
                rule = rule_of(new[name])
                touched[rule] = None
                self._claims.setdefault(rule, {})[name] = Claim(new[name], built.owner)
        return [note for rule in touched for note in self._tell(rule)]

    def _drop(self, rule: Rule, name: str) -> None:
        claims = self._claims.get(rule, {})
        claims.pop(name, None)
        self._told.pop(name, None)
        if not claims:
            self._claims.pop(rule, None)

    def _tell(self, rule: Rule) -> Iterator[Note]:
        claims = sorted(self._claims.get(rule, {}).values(), key=lambda claim: claim.order)
        mains = [claim for claim in claims if not claim.route.is_canary]
        canaries = [claim for claim in claims if claim.route.is_canary]
        where = _text(rule)
        for group in (mains, canaries):
            for claim in group:
                reason, text = "", ""
                older = group[0].ingress
                if claim.ingress != older:
                    what = "already has a canary" if claim.route.is_canary else "is served"
                    reason, text = "RuleConflict", f"{where} {what} by the older Ingress {older}: ignored here"
                elif claim.route.is_canary and not mains:
                    reason, text = "CanaryAlone", f"{where}: no other Ingress has this rule: nothing goes to the canary"
                yield from self._say(claim, reason, text)

    def _say(self, claim: Claim, reason: str, text: str) -> Iterator[Note]:
        if not text:
            self._told.pop(claim.route.name, None)
        elif self._told.get(claim.route.name) != (reason, text):
            self._told[claim.route.name] = reason, text
            yield Note(claim.owner, reason, text)


def _text(rule: Rule) -> str:
    host, kind, path, is_default = rule
    if is_default:
        return f"the default backend of {host or 'all hosts'}"
    return f"host {host or '*'}, path {path or '/'} ({kind})"

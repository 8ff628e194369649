"""HorizontalPodAutoscalers: as many replicas as the metrics ask for.

Every `sync_period_s` an object is looked at, once more when its spec changes; its own status wakes nobody. A look has
two halves. The first reads the world: the target's scale, and whether it is within its bounds at all (if not, the bound
is what is wanted, and no metric is read). The second comes when the metrics have been read (`Ask`): each metric makes a
proposal, the largest counts, and `behavior` says how much of it may be done now. If some metrics fail, the others may
only scale up. A target with no replicas is left alone, unless the object may itself scale to zero.

The scale is written through the scale subresource with the version that was seen, so that a stale world is refused and
looked at again. `history` is the only thing remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control.api.kinds import HORIZONTAL_POD_AUTOSCALER, POD, Kind
from control.api.objects import Key, Object, key_of, labels_of, meta, namespace_of, spec_of
from control.controllers.action import SETTLED, Action, Ask, Outcome, Rescale
from control.controllers.controller import Wakes
from control.controllers.horizontalpodautoscaler.behavior import Bounds, longest_period_s, normalized
from control.controllers.horizontalpodautoscaler.draft import Draft
from control.controllers.horizontalpodautoscaler.history import History
from control.controllers.horizontalpodautoscaler.measure import Failed, Measured, Situation, measure, tolerances_of
from control.controllers.horizontalpodautoscaler.readings import Answers, Unreadable, path_of
from control.controllers.horizontalpodautoscaler.target import SCALABLE, NoScale, Scale, scale_of
from control.controllers.horizontalpodautoscaler.tuning import KUBERNETES, Tuning
from control.mirror.world import World

UNREADABLE = "the HPA was unable to compute the replica count: "


@dataclass(frozen=True)
class HorizontalPodAutoscalerController:
    tuning: Tuning = KUBERNETES
    histories: dict[Key, History] = field(default_factory=dict)
    name: str = "horizontal-pod-autoscaler"
    kind: Kind = HORIZONTAL_POD_AUTOSCALER

    @property
    def concurrency(self) -> int:
        return self.tuning.concurrency

    @property
    def watches(self) -> Mapping[Kind, Wakes]:
        read = dict.fromkeys((*SCALABLE, POD), lambda world, obj: ())
        return {**read, self.kind: lambda world, obj: (key_of(obj),)}

    def reconcile(self, world: World, key: Key, now: datetime) -> Outcome:
        hpa = world.get(self.kind, *key)
        if hpa is None:
            self.histories.pop(key, None)
            return SETTLED
        history = self.histories.setdefault(key, History())
        generation = int(meta(hpa).get("generation") or 0)
        if history.next_at is not None and now < history.next_at and generation == history.generation:
            return Outcome(wake_at=history.next_at)
        next_at = now + timedelta(seconds=self.tuning.sync_period_s)
        look = Look(Draft(hpa, now), history, next_at, self.tuning)
        try:
            scale = scale_of(world, hpa)
        except NoScale as error:
            return Outcome(look.without_target(str(error)), next_at)
        return Outcome(look.at(scale, world), next_at)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one autoscaler."""

    draft: Draft
    history: History
    next_at: datetime
    tuning: Tuning

    def done(self) -> None:
        """Not again before the next period."""
        self.history.next_at = self.next_at
        self.history.generation = int(meta(self.draft.hpa).get("generation") or 0)

    def without_target(self, why: str) -> tuple[Action, ...]:
        self.draft.warn("FailedGetScale", why)
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        self.draft.condition("AbleToScale", "False", "FailedGetScale", text)
        self.done()
        return self.draft.written()

    def at(self, scale: Scale, world: World) -> tuple[Action, ...]:
        draft, spec = self.draft, spec_of(self.draft.hpa)
        text = "the HPA controller was able to get the target's current scale"
        draft.condition("AbleToScale", "True", "SucceededGetScale", text)
        self.history.begin(scale.replicas, draft.now)
        minimum, maximum = spec.get("minReplicas"), int(spec["maxReplicas"])
        bounds = Bounds(scale.replicas, 1 if minimum is None else int(minimum), maximum)
        if scale.replicas == 0 and bounds.minimum != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            draft.condition("ScalingActive", "False", "ScalingDisabled", text)
            self.done()
            return draft.concluded(0, 0, ())
        if scale.replicas > maximum:
            return self.rescale(scale, maximum, "Current number of replicas above Spec.MaxReplicas", ())
        if scale.replicas < bounds.minimum:
            return self.rescale(scale, bounds.minimum, "Current number of replicas below Spec.MinReplicas", ())
        why = self.bad_selector(scale, world)
        if why:
            return self.uncomputed(scale, (), why)
        pods = world.select(POD, scale.namespace, scale.selector.matches)
        asked = [self.path(metric, scale) for metric in spec.get("metrics") or ()]
        paths = tuple(dict.fromkeys(path for path in asked if path))
        return (Ask(paths, lambda answers: self.with_answers(scale, bounds, pods, answers)),)

    def path(self, metric: Object, scale: Scale) -> str:
        """Where a metric is read; "" if that cannot even be asked (measuring it says why)."""
        try:
            return path_of(metric, scale.namespace, scale.selector_text)
        except Unreadable:
            return ""

    def bad_selector(self, scale: Scale, world: World) -> str:
        """Why the target's selector cannot be used, "" if it can; says it, too."""
        if not scale.selector_text:
            reason, text = "InvalidSelector", "the HPA target's scale is missing a selector"
            self.draft.warn("SelectorRequired", "selector is required")
            self.draft.condition("ScalingActive", "False", reason, text)
            return "selector is required"
        others = rivals(world, self.draft.hpa, scale)
        if len(others) > 1:
            text = f"pods by selector {scale.selector_text} are controlled by multiple HPAs: [{' '.join(others)}]"
            self.draft.warn("AmbiguousSelector", text)
            self.draft.condition("ScalingActive", "False", "AmbiguousSelector", text)
            return text
        return ""

    def with_answers(
        self, scale: Scale, bounds: Bounds, pods: Sequence[Object], answers: Answers
    ) -> tuple[Action, ...]:
        spec = spec_of(self.draft.hpa)
        behavior = spec.get("behavior")
        tolerances = tolerances_of(behavior, self.tuning)
        at = Situation(self.draft.hpa, scale, pods, answers, self.draft.now, self.tuning, tolerances)
        results = [measure(metric, at) for metric in spec.get("metrics") or ()]
        statuses = [each.status if isinstance(each, Measured) else {"type": ""} for each in results]
        failures = [each for each in results if isinstance(each, Failed)]
        for failure in failures:
            self.draft.warn(failure.reason, failure.cause)
        best = max(
            (each for each in results if isinstance(each, Measured)), key=lambda each: each.replicas, default=None
        )
        if best is None or (failures and best.replicas < scale.replicas):
            if not failures:
                return self.uncomputed(scale, statuses, "invalid metrics (0 invalid out of 0)")
            first = failures[0]
            self.draft.condition("ScalingActive", "False", first.reason, UNREADABLE + first.cause)
            count = f"{len(failures)} invalid out of {len(results)}"
            return self.uncomputed(scale, statuses, f"invalid metrics ({count}), first error is: {first.chain}")
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        self.draft.condition("ScalingActive", "True", "ValidMetricFound", text)
        desired, conditions = normalized(self.history, behavior, best.replicas, bounds, self.draft.now, self.tuning)
        self.draft.conditions(conditions)
        if desired == scale.replicas:
            self.done()
            return self.draft.concluded(scale.replicas, scale.replicas, statuses)
        why = f"{best.name} above target" if best.replicas > scale.replicas else ""
        why = "All metrics below target" if best.replicas < scale.replicas else why
        return self.rescale(scale, desired, why, statuses)

    def uncomputed(self, scale: Scale, statuses: Sequence[Object], why: str) -> tuple[Action, ...]:
        self.done()
        self.draft.warn("FailedComputeMetricsReplicas", why)
        return self.draft.concluded(scale.replicas, None, statuses)

    def rescale(self, scale: Scale, desired: int, why: str, statuses: Sequence[Object]) -> tuple[Action, ...]:
        draft, behavior = self.draft, spec_of(self.draft.hpa).get("behavior")

        def succeeded() -> tuple[Action, ...]:
            self.done()
            if behavior is not None:
                rules = behavior.get("scaleUp" if desired > scale.replicas else "scaleDown") or {}
                self.history.scaled(scale.replicas, desired, draft.now, longest_period_s(rules))
            text = f"the HPA controller was able to update the target scale to {desired}"
            draft.condition("AbleToScale", "True", "SucceededRescale", text)
            draft.tell("SuccessfulRescale", f"New size: {desired}; reason: {why}")
            return draft.concluded(scale.replicas, desired, statuses, rescaled=True)

        def refused(message: str) -> tuple[Action, ...]:
            self.done()
            draft.warn("FailedRescale", f"New size: {desired}; reason: {why}; error: {message}")
            text = f"the HPA controller was unable to update the target scale: {message}"
            draft.condition("AbleToScale", "False", "FailedUpdateScale", text)
            return draft.concluded(scale.replicas, None, statuses)

        place = (scale.kind, scale.namespace, scale.name, scale.uid, scale.resource_version)
        return (Rescale(*place, desired, succeeded, refused),)


def rivals(world: World, hpa: Object, scale: Scale) -> list[str]:
    """The autoscalers of the namespace, this one included, whose targets' selectors select any of the pods."""
    found = {str(key_of(hpa))}
    pods = world.select(POD, scale.namespace, scale.selector.matches)
    for other in world.list(HORIZONTAL_POD_AUTOSCALER, namespace_of(hpa)):
        try:
            theirs = scale_of(world, other)
        except NoScale:
            continue
        selector = theirs.selector
        if theirs.selector_text and any(selector(labels_of(pod)) for pod in pods):
            found.add(str(key_of(other)))
    return sorted(found)

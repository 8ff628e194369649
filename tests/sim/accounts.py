"""What became of each pod of a Job, written down as it happens, beside the Job's own account: the two must agree.

A pod succeeded when its phase said so while it was tracked by its finalizer. It failed when its phase said so, or when
it was taken away while it was tracked (where only failed pods are replaced, the phase alone counts). A pod that the Job
itself let go before (parallelism lowered, suspended, the Job's end decided) counts for nothing, unless the Job ends by
failing: then what still ran has failed with it, and a pod that succeeds beside that decision counts once, as either.
"""

from __future__ import annotations

from collections import Counter

from control.api.kinds import JOB, POD, Kind
from control.api.objects import (
    Object,
    controller_of,
    is_condition_true,
    is_deleting,
    meta,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from control.mirror.world import World


class Accounts:
    def __init__(self, world: World) -> None:
        self._world = world
        self._fates: dict[str, dict[str, str]] = {}

    def judge(self, kind: Kind, old: Object | None, new: Object | None) -> str:
        """No Job ever counts more than what happened."""
        if kind == POD and new is not None:
            self._note(old, new)
        return "; ".join(self._wrong(new, exactly=False)) if kind == JOB and new is not None else ""

    def wrong_at_rest(self, job: Object) -> list[str]:
        """No Job counts anything but what happened."""
        return self._wrong(job, exactly=True)

    def _wrong(self, job: Object, *, exactly: bool) -> list[str]:
        fates = Counter(self._fates.get(uid_of(job), {}).values())
        status = status_of(job)
        failed, succeeded = status.get("failed") or 0, status.get("succeeded") or 0
        pairs = {"failed": (failed, fates["failed"]), "succeeded": (succeeded, fates["succeeded"])}
        if is_condition_true(job, "FailureTarget"):
            pairs = {"ended": (failed + succeeded, fates.total())}
        if spec_of(job).get("completionMode") == "Indexed":
            pairs.pop("succeeded", None)  # indexes, which a second success does not make more
            if "ended" in pairs and fates["succeeded"]:
                exactly = False
        return [
            f"{name_of(job)} counts {counted} {what} pods of {happened}"
            for what, (counted, happened) in pairs.items()
            if counted > happened or (exactly and counted != happened)
        ]

    def _note(self, old: Object | None, new: Object) -> None:
        ref = controller_of(new) or {}
        if ref.get("kind") != JOB.kind:
            return
        fates = self._fates.setdefault(ref["uid"], {})
        job = self._world.get(JOB, namespace_of(new), ref["name"]) or {}
        phase, tracked = status_of(new).get("phase"), bool(meta(new).get("finalizers"))
        gone_counts = spec_of(job).get("podReplacementPolicy") != "Failed"
        if phase == "Succeeded" and tracked:
            fates[uid_of(new)] = "succeeded"
        elif tracked and (phase == "Failed" or (gone_counts and is_deleting(new))):
            fates[uid_of(new)] = "failed"
        elif (
            old is not None and meta(old).get("finalizers") and not tracked and is_condition_true(job, "FailureTarget")
        ):
            fates.setdefault(uid_of(new), "failed")

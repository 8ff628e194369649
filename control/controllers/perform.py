"""One action, performed: what it means at the API, and what an answer means for the actions after it.

`Stopped` says that the decision rests on a world that is no more: reconcile again. `Refused` says that the server will
not have it. Whatever the answer carries is taken into the mirror at once; where the answer to a create or a delete is
lost, the server is asked what came of it before the error goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from control.api.kinds import POD, Kind
from control.api.objects import Object, controller_of, is_deleting, key_of, name_of, namespace_of, uid_of
from control.api.status import StatusError
from control.controllers.action import Absent, Action, Ask, Bind, Create, Delete, NoneOf, Patch, Purge, Rescale, Update
from control.mirror.client import Client
from control.mirror.mirror import Mirror

CATCH_UP_S = 300.0
"""How long to wait until the mirror shows a deletion; then go on regardless (client-go's ExpectationsTimeout). Who
decides on other news before that may take one more pod away for the one that seems to be still there."""

ASK_AGAIN_S = (0.0, 0.1, 1.0)
"""Pauses before each question what came of a write whose answer was lost."""

PURGE_AT_ONCE = 20
"""Deletes under way together, so that emptying a namespace does not starve everybody else."""


class Stopped(Exception):
    """The world moved on; whatever was decided on it is void."""


class Refused(Exception):
    """The server rejected an action; `instead` is what to write about it."""

    def __init__(self, error: StatusError, instead: Sequence[Action] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.instead = instead


class Performer:
    def __init__(self, client: Client, mirror: Mirror) -> None:
        self._client = client
        self._mirror = mirror

    async def perform(self, action: Action) -> Sequence[Action]:
        """Returns what follows from the answer, for actions that say so; raises Stopped, Refused or ConnectionError."""
        try:
            match action:
                case Ask():
                    return action.then(await self._answers(action))
                case Rescale():
                    await self._rescale(action)
                    return action.done()
                case Create():
                    await self._create(action)
                case Update():
                    done = await self._client.update(action.kind, action.obj, subresource=action.subresource)
                    self._mirror.observe(action.kind, done)
                case Patch():
                    await self._patch(action)
                case Delete():
                    await self._delete(action)
                case Bind():
                    await self._bind(action)
                case Absent():
                    await self._absent(action)
                case NoneOf():
                    await self._none_of(action)
                case Purge():
                    await self._purge(action)
                case _:
                    raise TypeError(f"no such action: {action!r}")
        except StatusError as error:
            if error.reason in ("Conflict", "NotFound"):
                raise Stopped(error.message) from None
            raise Refused(error) from None
        return ()

    async def _answers(self, action: Ask) -> dict[str, Object | StatusError]:
        answers = await asyncio.gather(*(self._answer(path) for path in action.paths))
        return dict(zip(action.paths, answers, strict=True))

    async def _answer(self, path: str) -> Object | StatusError:
        try:
            return await self._client.read(path)
        except StatusError as error:
            return error

    async def _rescale(self, action: Rescale) -> None:
        """The workload as it is afterwards comes by the mirror; until it does, decisions on the old one conflict."""
        metadata = {
            "namespace": action.namespace,
            "name": action.name,
            "uid": action.uid,
            "resourceVersion": action.resource_version,
        }
        spec = {"replicas": action.replicas}
        scale: Object = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec}
        try:
            await self._client.update(action.kind, scale, subresource="scale")
        except StatusError as error:
            if error.reason in ("Conflict", "NotFound"):
                raise
            raise Refused(error, action.refused(error.message)) from None

    async def _create(self, action: Create) -> None:
        kind, obj = action.kind, action.obj
        try:
            done = await self._client.create(kind, obj)
        except (ConnectionError, TimeoutError):
            await self._look_after(kind, obj)
            raise
        except StatusError as error:
            if error.reason == "AlreadyExists" and name_of(obj):
                done = await self._client.get(kind, namespace_of(obj), name_of(obj))
                if _controller_uid(done) != _controller_uid(obj):
                    raise Refused(error) from None
            elif 400 <= error.code < 500 and error.code not in (409, 429) and action.refused is not None:
                raise Refused(error, action.refused(error.message)) from None
            else:
                raise
        self._mirror.observe(kind, done)

    async def _patch(self, action: Patch) -> None:
        metadata = {**(action.patch.get("metadata") or {}), "uid": action.uid}
        done = await self._client.patch(
            action.kind,
            action.namespace,
            action.name,
            {**action.patch, "metadata": metadata},
            patch_type=action.patch_type,
            subresource=action.subresource,
        )
        self._mirror.observe(action.kind, done)

    async def _delete(self, action: Delete) -> None:
        try:
            await self._client.delete(
                action.kind,
                action.namespace,
                action.name,
                uid=action.uid,
                resource_version=action.resource_version,
                propagation=action.propagation,
                grace_period_s=action.grace_period_s,
            )
        except (ConnectionError, TimeoutError):
            found = await self._look_after(action.kind, _named(action))
            if found is None or is_deleting(found) or uid_of(found) != action.uid:
                await self._seen_gone(action.kind, action.namespace, action.name, action.uid)
            raise
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise Refused(error, action.refused(error.message) if action.refused else ()) from None
            if error.reason == "Conflict":
                await self._unless_gone(action, error)
        await self._seen_gone(action.kind, action.namespace, action.name, action.uid)

    async def _look_after(self, kind: Kind, obj: Object) -> Object | None:
        """What a lost answer would have said: nobody must decide again without knowing of his own deed."""
        for pause_s in ASK_AGAIN_S:
            await asyncio.sleep(pause_s)
            try:
                found = await self._client.get(kind, namespace_of(obj), name_of(obj))
            except StatusError:
                return None
            except (ConnectionError, TimeoutError):
                continue
            self._mirror.observe(kind, found)
            return found
        return obj

    async def _unless_gone(self, action: Delete, error: StatusError) -> None:
        """A Conflict over the UID means that what was to be deleted is gone: another has its name."""
        if not action.uid:
            raise error
        found = await self._client.get(action.kind, action.namespace, action.name)
        if uid_of(found) == action.uid:
            raise error

    async def _seen_gone(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Waits until the mirror shows the object as deleted or being deleted."""
        if self._mirror.world.knows(kind):
            await self._mirror.until(
                lambda world: (
                    (found := world.get(kind, namespace, name)) is None or uid_of(found) != uid or is_deleting(found)
                ),
                CATCH_UP_S,
            )

    async def _bind(self, action: Bind) -> None:
        binding: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": action.namespace, "name": action.name, "uid": action.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": action.node},
        }
        await self._client.create(POD, binding, subresource="binding", name=action.name)
        self._mirror.observe(POD, await self._client.get(POD, action.namespace, action.name))

    async def _absent(self, action: Absent) -> None:
        try:
            found = await self._client.get(action.kind, action.namespace, action.name)
        except StatusError as error:
            if error.reason == "NotFound":
                return
            raise
        if not action.uid or uid_of(found) == action.uid:
            self._mirror.observe(action.kind, found)
            raise Stopped(f"{action.kind.resource} {key_of(found)} is there")

    async def _none_of(self, action: NoneOf) -> None:
        listing = await self._client.list(action.kind, action.namespace)
        found = next(filter(action.matches, listing.items), None)
        if found is not None:
            self._mirror.observe(action.kind, found)
            raise Stopped(f"{action.kind.resource} {key_of(found)} is there")

    async def _purge(self, action: Purge) -> None:
        listing = await self._client.list(action.kind, action.namespace)
        if not listing.items:
            return
        doomed = [obj for obj in listing.items if not is_deleting(obj)]
        for start in range(0, len(doomed), PURGE_AT_ONCE):
            batch = doomed[start : start + PURGE_AT_ONCE]
            answers = await asyncio.gather(*(self._drop(action.kind, obj) for obj in batch), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        raise Stopped(f"{len(listing.items)} {action.kind.plural} were still in namespace {action.namespace}")

    async def _drop(self, kind: Kind, obj: Object) -> None:
        try:
            await self._client.delete(kind, namespace_of(obj), name_of(obj), uid=uid_of(obj), propagation="Background")
        except StatusError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise


def _named(action: Delete) -> Object:
    return {"metadata": {"namespace": action.namespace, "name": action.name, "uid": action.uid}}


def _controller_uid(obj: Object) -> str:
    return str((controller_of(obj) or {}).get("uid", ""))

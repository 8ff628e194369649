"""What hangs below a resource, and the resources that only answer.

`scale` is a view of a workload that is written through the workload. `eviction` deletes a pod if its disruption budget
can pay. `binding` is the scheduler's. `log` asks the kubelet. `token` issues a service account's token. `finalize` ends
a namespace. Reviews are created and answered, never stored. What needs a container runtime behind it (exec, attach,
port-forward, ephemeral containers) is refused in plain words instead of a 404 that would send people searching.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import orjson

from control.api.kinds import POD, POD_DISRUPTION_BUDGET, Kind
from control.api.objects import Object, format_time, spec_of
from control.api.scheme import Resource
from control.api.status import FieldError, StatusError, bad_request, conflict, invalid, not_found
from control.apiserver.auth import TOKEN_DEFAULT_S, TOKEN_LEAST_S, TOKEN_MOST_S, Authenticator
from control.apiserver.binding import bound, node_of
from control.apiserver.body import decode
from control.apiserver.eviction import budget_of, charged, goes_without, ignores_budgets, with_disruption_target
from control.apiserver.exchange import Answer, Flow, Request, User, success
from control.apiserver.handlers_change import APPLY_PATCH, check_patch, copied, patch_media, patched
from control.apiserver.handlers_context import Context
from control.apiserver.handlers_delete import delete
from control.apiserver.handlers_write import SCALE as SCALE_LANE
from control.apiserver.handlers_write import lane_of, update
from control.apiserver.logs import Logs
from control.apiserver.negotiate import sent, unsupported_media
from control.apiserver.options import DeleteOptions, WriteOptions, delete_options, write_options
from control.apiserver.patch import CONTENT_TYPES
from control.apiserver.paths import Target, method_not_allowed, not_served
from control.apiserver.reviews import ANSWERS, REVIEWS
from control.apiserver.scale import scale_of, scaled
from control.apiserver.subresources import BINDING, EVICTION, SCALE, TOKEN_REQUEST, Review, subresources_of
from control.store.records import Moved

TRIES_MAX = 10
_SCALE = Review(SCALE, "io.k8s.api.autoscaling.v1.Scale")
_EVICTION = Review(EVICTION, "io.k8s.api.policy.v1.Eviction")
_BINDING = Review(BINDING, "io.k8s.api.core.v1.Binding")
_TOKEN_REQUEST = Review(TOKEN_REQUEST, "io.k8s.api.authentication.v1.TokenRequest")
REFUSED = {
    "exec": "kubectl exec",
    "attach": "kubectl attach",
    "portforward": "kubectl port-forward (the pod's own address can be reached from this machine)",
    "proxy": "the API server's proxy (the pod's own address can be reached from this machine)",
    "ephemeralcontainers": "ephemeral containers (kubectl debug)",
    "resize": "in-place resize (loopkube limits no resources)",
}
BOUND_KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}

Reply = Answer | Flow
Serve = Callable[[Target, Resource, Request], Awaitable[Reply]]


class Subresources:
    def __init__(self, context: Context, authenticator: Authenticator, logs: Logs) -> None:
        self.context = context
        self._authenticator = authenticator
        self._logs = logs
        self._table: dict[tuple[str, str], Serve] = {
            ("scale", "get"): self._get_scale,
            ("scale", "update"): self._put_scale,
            ("scale", "patch"): self._patch_scale,
            ("log", "get"): self._log,
            ("eviction", "create"): self._evict,
            ("binding", "create"): self._bind,
            ("token", "create"): self._token,
            ("finalize", "update"): self._finalize,
        }

    async def serve(self, target: Target, resource: Resource, request: Request) -> Reply:
        name = target.subresource
        if name not in {each.name for each in subresources_of(resource)} or not target.name:
            if resource.kind == POD and name in REFUSED:
                raise StatusError(501, "NotImplemented", f"loopkube does not implement {REFUSED[name]}")
            raise not_served()
        serve = self._table.get((name, target.verb))
        if serve is None:
            raise method_not_allowed()
        return await serve(target, resource, request)

    # Scale

    async def _get_scale(self, target: Target, resource: Resource, _request: Request) -> Answer:
        return self._scale_answer(resource, self._stored(target, resource))

    def _stored(self, target: Target, resource: Resource) -> Object:
        obj = self.context.get(resource.kind.resource, target.namespace, target.name)
        if obj is None:
            raise not_found(resource.kind, target.name)
        return obj

    def _scale_answer(self, resource: Resource, workload: Object) -> Answer:
        return Answer(200, orjson.dumps(scale_of(resource, workload)))

    async def _put_scale(self, target: Target, resource: Resource, request: Request) -> Answer:
        options = _options("UpdateOptions", request)
        scale = decode(request.body, sent(request.headers.get("Content-Type", "")), _SCALE, options)

        def change(old: Object) -> Object:
            return scaled(copied(old), scale)

        stored = await update(self.context, resource, target.namespace, target.name, change, options, SCALE_LANE)
        return self._scale_answer(resource, stored.obj)

    async def _patch_scale(self, target: Target, resource: Resource, request: Request) -> Answer:
        media = patch_media(request.headers.get("Content-Type", ""))
        options = _options("PatchOptions", request)
        if media == APPLY_PATCH:
            raise unsupported_media(", ".join(CONTENT_TYPES))
        check_patch(media, options)

        def change(old: Object) -> Object:
            return scaled(copied(old), patched(_SCALE, media, scale_of(resource, old), request.body, options))

        stored = await update(
            self.context, resource, target.namespace, target.name, change, options, SCALE_LANE, patching=True
        )
        return self._scale_answer(resource, stored.obj)

    # Pods

    async def _log(self, target: Target, resource: Resource, request: Request) -> Reply:
        return await self._logs.read(self._stored(target, resource), request.query)

    async def _evict(self, target: Target, resource: Resource, request: Request) -> Answer:
        options = _options("CreateOptions", request)
        eviction = decode(request.body, sent(request.headers.get("Content-Type", "")), _EVICTION, options)
        await self.evict(target.namespace, target.name, eviction, options, resource)
        return Answer(201, orjson.dumps(success()))

    async def evict(
        self, namespace: str, name: str, eviction: Object, options: WriteOptions, resource: Resource
    ) -> None:
        context = self.context
        if (eviction["metadata"].get("name") or name) != name:
            raise bad_request("name in URL does not match name in Eviction object")
        wanted = delete_options({}, eviction.get("deleteOptions"))
        dry_run = options.dry_run or wanted.dry_run
        for _ in range(TRIES_MAX):
            pod = context.get(POD.resource, namespace, name)
            if pod is None:
                raise not_found(POD, name)
            try:
                if not ignores_budgets(pod):
                    await self._charge(namespace, pod, dry_run)
                    if not dry_run:
                        await self._target(namespace, name, pod)
            except Moved:
                continue
            final = DeleteOptions(
                wanted.grace_period_s,
                wanted.uid or pod["metadata"]["uid"],
                wanted.resource_version,
                wanted.propagation,
                wanted.orphan_dependents,
                dry_run,
            )
            await delete(context, resource, namespace, name, final)
            return
        raise conflict(POD, name)

    async def _charge(self, namespace: str, pod: Object, dry_run: bool) -> None:
        """Takes one disruption from the pod's budget, if it has one and must; raises Moved if that raced."""
        where = POD_DISRUPTION_BUDGET.resource
        budget = budget_of(pod, self.context.list(where, namespace))
        if budget is None or goes_without(pod, budget):
            return
        after = charged(budget, pod["metadata"]["name"], self.context.now())
        if not dry_run:
            metadata = budget["metadata"]
            await self.context.store.put(
                where, namespace, metadata["name"], after, expect=int(metadata["resourceVersion"])
            )

    async def _target(self, namespace: str, name: str, pod: Object) -> None:
        marked = with_disruption_target(pod, self.context.now())
        version = int(pod["metadata"]["resourceVersion"])
        try:
            await self.context.store.put(POD.resource, namespace, name, marked, expect=version)
        except Moved:
            return  # the budget is charged; a condition is not worth charging it twice

    async def _bind(self, target: Target, resource: Resource, request: Request) -> Answer:
        options = _options("CreateOptions", request)
        binding = decode(request.body, sent(request.headers.get("Content-Type", "")), _BINDING, options)
        await self.bind(target.namespace, target.name, binding, options, resource)
        return Answer(201, orjson.dumps(success()))

    async def bind(self, namespace: str, name: str, binding: Object, options: WriteOptions, resource: Resource) -> None:
        if (binding["metadata"].get("name") or name) != name:
            raise bad_request("name in URL does not match name in Binding object")
        node_of(binding)
        now = self.context.now()

        def change(old: Object) -> Object:
            return bound(copied(old), binding, now)

        await update(self.context, resource, namespace, name, change, options, lane_of("binding"), patching=True)

    # Service accounts and namespaces

    async def _token(self, target: Target, resource: Resource, request: Request) -> Answer:
        options = _options("CreateOptions", request)
        asked = decode(request.body, sent(request.headers.get("Content-Type", "")), _TOKEN_REQUEST, options)
        return Answer(201, orjson.dumps(self.issue(self._stored(target, resource), asked)))

    def issue(self, account: Object, asked: Object) -> Object:
        """The TokenRequest with its token."""
        if not self._authenticator.can_issue:
            raise StatusError(501, "NotImplemented", "this server has no key to sign service account tokens with")
        spec = dict(spec_of(asked))
        seconds = spec.get("expirationSeconds") or TOKEN_DEFAULT_S
        _check_seconds(seconds)
        audiences = spec.get("audiences") or [self._authenticator.issuer]
        reference = spec.get("boundObjectRef")
        bound_to = self._bound(account["metadata"]["namespace"], reference) if reference else None
        token, expires = self._authenticator.issue(account, audiences=audiences, seconds=seconds, bound_to=bound_to)
        metadata = {key: account["metadata"][key] for key in ("name", "namespace")}
        metadata["creationTimestamp"] = format_time(expires - timedelta(seconds=seconds))
        return {
            "kind": "TokenRequest",
            "apiVersion": TOKEN_REQUEST.api_version,
            "metadata": metadata,
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": format_time(expires)},
        }

    def _bound(self, namespace: str, reference: Object) -> tuple[str, Object]:
        kind, name = reference.get("kind") or "", reference.get("name") or ""
        resource = BOUND_KINDS.get(kind)
        if resource is None:
            raise bad_request(f"cannot bind token for serviceaccount to object kind {kind!r}".replace("'", '"'))
        obj = self.context.get(resource, "" if kind == "Node" else namespace, name)
        if obj is None:
            raise not_found(Kind("", "v1", kind, resource), name)
        if reference.get("uid") and reference["uid"] != obj["metadata"]["uid"]:
            why = "the UID in the bound object reference does not match the UID in record"
            raise conflict(Kind("", "v1", kind, resource), name, why)
        return kind, obj

    async def _finalize(self, target: Target, resource: Resource, request: Request) -> Answer:
        options = _options("UpdateOptions", request)
        sent_ = decode(request.body, sent(request.headers.get("Content-Type", "")), resource, options)
        return Answer(200, orjson.dumps(await self.finalize(target.name, sent_, options, resource)))

    async def finalize(self, name: str, wanted: Object, options: WriteOptions, resource: Resource) -> Object:
        """A namespace with the spec.finalizers of `wanted`; without any, a deleting namespace goes."""
        if (wanted["metadata"].get("name") or name) != name:
            raise bad_request(
                f"the name of the object ({wanted['metadata']['name']}) does not match the name on the URL ({name})"
            )

        def change(old: Object) -> Object:
            new = copied(old)
            finalizers = spec_of(wanted).get("finalizers") or []
            if finalizers:
                new["spec"] = {"finalizers": list(finalizers)}
            else:
                new["spec"] = {}
            for key in ("resourceVersion", "uid"):
                if wanted["metadata"].get(key):
                    new["metadata"][key] = wanted["metadata"][key]
                else:
                    new["metadata"].pop(key, None)
            return new

        stored = await update(self.context, resource, "", name, change, options, lane_of("finalize"))
        return stored.obj

    # Reviews, and bindings without a pod in the path

    async def serve_virtual(self, target: Target, request: Request) -> Answer:
        if target.verb != "create" or target.name:
            raise method_not_allowed()
        options = _options("CreateOptions", request)
        media = sent(request.headers.get("Content-Type", ""))
        if target.plural == "bindings":
            binding = decode(request.body, media, _BINDING, options)
            name = binding["metadata"].get("name") or ""
            await self.bind(target.namespace, name, binding, options, self.context.resources[POD])
            return Answer(201, orjson.dumps(success()))
        row = REVIEWS[(target.group, target.version, target.plural)]
        if row.kind.namespaced != bool(target.namespace):
            raise not_served()
        review = decode(request.body, media, row, options)
        return Answer(201, orjson.dumps(self.review(review, request.user)), warnings=tuple(options.warnings))

    def review(self, review: Object, user: User) -> Object:
        """The review with its answer."""

        def verify(token: str) -> User | None:
            return self._authenticator.user_of_token(token, self.context.get)

        return {**review, "status": ANSWERS[review["kind"]](review, user, verify)}


def _check_seconds(seconds: int) -> None:
    if seconds < TOKEN_LEAST_S:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > TOKEN_MOST_S:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return
    error = FieldError("spec.expirationSeconds", "FieldValueInvalid", f"Invalid value: {seconds}: {why}")
    raise invalid(TOKEN_REQUEST, "", [error])


def _options(kind: str, request: Request) -> WriteOptions:
    return write_options(kind, request.query, request.headers.get("User-Agent", ""))

"""The API: one request in, one answer out, whatever carried them.

The path says which resource, the method which verb; everything after that is generic over the scheme's row. This file
only leads: to reading, writing, deleting, watching, to the subresources, and to what is no resource at all (discovery,
OpenAPI, health). Every failure leaves as a Status.
"""

from __future__ import annotations

import logging

import orjson

from control.api.kinds import Kind
from control.api.scheme import Resource
from control.api.status import FieldError, StatusError, internal_error
from control.apiserver import metrics
from control.apiserver.body import decode, parse
from control.apiserver.deletion import RETURN_OBJECT, answers_accepted
from control.apiserver.exchange import Answer, Flow, Request, answer_error, success
from control.apiserver.handlers_change import APPLY_PATCH, patch, patch_media, put
from control.apiserver.handlers_context import Context, store_failure
from control.apiserver.handlers_delete import delete, delete_collection
from control.apiserver.handlers_documents import Documents
from control.apiserver.handlers_read import get, list_page
from control.apiserver.handlers_subresources import Subresources
from control.apiserver.handlers_write import MAIN, STATUS, Lane, create
from control.apiserver.negotiate import Representation, accepted, sent
from control.apiserver.options import WriteOptions, delete_options, list_options, refuse, write_options
from control.apiserver.paths import Target, method_not_allowed, not_served
from control.apiserver.paths import parse as parse_path
from control.apiserver.render import answer, object_data, page_data, renderer, wants_pretty
from control.apiserver.reviews import REVIEWS
from control.apiserver.streams import Watching, failed, lines
from control.apiserver.subresources import Review
from control.store.records import Stored, StoreError

logger = logging.getLogger(__name__)

Reply = Answer | Flow
_DELETE_OPTIONS = Review(
    Kind("", "v1", "DeleteOptions", "deleteoptions"), "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
)
WATCH_STREAM = "application/json"


class Handlers:
    """`documents` serves what is no resource, `subresources` what hangs below one, `metrics` what is measured."""

    def __init__(
        self, context: Context, documents: Documents, subresources: Subresources, metrics: metrics.Metrics
    ) -> None:
        self.context = context
        self._documents = documents
        self._subresources = subresources
        self._metrics = metrics

    async def handle(self, request: Request) -> Reply:
        try:
            return await self._route(request)
        except StatusError as error:
            return answer_error(error)
        except StoreError as error:
            return answer_error(store_failure(error))
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return answer_error(internal_error("see the server's log"))

    async def _route(self, request: Request) -> Reply:
        target = parse_path(request.method, request.path, request.query)
        if target is None:
            return self._documents.serve(request)
        where = (target.group, target.version, target.plural)
        resource = self.context.by_path.get(where)
        if resource is None:
            if where in REVIEWS or where == ("", "v1", "bindings"):
                return await self._subresources.serve_virtual(target, request)
            if metrics.serves(target):
                return await self._metrics.serve(target, request)
            raise not_served()
        if not resource.kind.namespaced and target.namespace:
            raise not_served()
        if resource.kind.namespaced and target.name and not target.namespace:
            raise not_served()
        lane = _lane(resource, target.subresource)
        if lane is None:
            return await self._subresources.serve(target, resource, request)
        return await self._verb(target, resource, lane, request)

    async def _verb(self, target: Target, resource: Resource, lane: Lane, request: Request) -> Reply:
        verb = target.verb
        if verb not in resource.verbs or (lane is STATUS and verb not in ("get", "update", "patch")):
            raise method_not_allowed()
        if verb in ("list", "watch"):
            return self._list(target, resource, request) if verb == "list" else self._watch(target, resource, request)
        form = accepted(request.headers.get("Accept", ""))
        if verb == "get":
            stored = get(
                self.context, resource, target.namespace, target.name, request.query.get("resourceVersion", "")
            )
            return self._object(resource, stored, form, request)
        if verb == "delete":
            return await self._delete(target, resource, form, request)
        if resource.kind.namespaced and not target.namespace:
            raise method_not_allowed()
        if verb == "create":
            if target.name:
                raise method_not_allowed()
            return await self._create(target, resource, form, request)
        if verb == "update":
            return await self._update(target, resource, lane, form, request)
        if verb == "patch":
            return await self._patch(target, resource, lane, form, request)
        return await self._delete_collection(target, resource, form, request)

    def _object(
        self,
        resource: Resource,
        stored: Stored,
        form: Representation,
        request: Request,
        status: int = 200,
        options: WriteOptions | None = None,
    ) -> Answer:
        data = object_data(self.context, resource, stored, form, request.query)
        pretty = wants_pretty(request.query, request.headers.get("User-Agent", ""))
        reply = answer(data, status, form, pretty=pretty)
        if options is not None and options.warnings:
            reply.warnings = tuple(dict.fromkeys(options.warnings))
        return reply

    def _list(self, target: Target, resource: Resource, request: Request) -> Answer:
        form = accepted(request.headers.get("Accept", ""))
        options = list_options(request.query, watch=False)
        page = list_page(self.context, resource, target.namespace, options)
        data = page_data(self.context, resource, page, form, request.query)
        return answer(data, 200, form, pretty=wants_pretty(request.query, request.headers.get("User-Agent", "")))

    def _watch(self, target: Target, resource: Resource, request: Request) -> Flow:
        form = accepted(request.headers.get("Accept", ""))
        options = list_options(request.query, watch=True)
        render = renderer(self.context, resource, form, request.query)
        try:
            watching = Watching(self.context, resource, target.namespace, options)
        except StoreError as error:
            return Flow(200, failed(store_failure(error)), _nothing, WATCH_STREAM)
        return Flow(200, lines(watching, render), watching.close, WATCH_STREAM)

    async def _create(self, target: Target, resource: Resource, form: Representation, request: Request) -> Answer:
        media = sent(request.headers.get("Content-Type", ""))
        options = _options("CreateOptions", request)
        obj = decode(request.body, media, resource, options)
        stored = await create(self.context, resource, target.namespace, obj, options)
        return self._object(resource, stored, form, request, 201, options)

    async def _update(
        self, target: Target, resource: Resource, lane: Lane, form: Representation, request: Request
    ) -> Answer:
        media = sent(request.headers.get("Content-Type", ""))
        options = _options("UpdateOptions", request)
        obj = decode(request.body, media, resource, options)
        stored, created = await put(self.context, resource, target.namespace, target.name, obj, options, lane)
        return self._object(resource, stored, form, request, 201 if created else 200, options)

    async def _patch(
        self, target: Target, resource: Resource, lane: Lane, form: Representation, request: Request
    ) -> Answer:
        media = patch_media(request.headers.get("Content-Type", ""))
        options = _options("PatchOptions", request)
        if media == APPLY_PATCH and not request.query.get("fieldManager"):
            message = "Required value: is required for apply patch"
            raise refuse("PatchOptions", FieldError("fieldManager", "FieldValueRequired", message))
        stored, created = await patch(
            self.context, resource, target.namespace, target.name, media, request.body, options, lane
        )
        return self._object(resource, stored, form, request, 201 if created else 200, options)

    async def _delete(self, target: Target, resource: Resource, form: Representation, request: Request) -> Answer:
        options = delete_options(request.query, self._delete_body(request))
        stored, gone = await delete(self.context, resource, target.namespace, target.name, options)
        if not gone:
            return self._object(resource, stored, form, request, 202 if answers_accepted(options) else 200)
        kind = resource.kind
        if kind.resource in RETURN_OBJECT:
            return self._object(resource, stored, form, request)
        status = success(kind.plural, target.name, stored.obj["metadata"].get("uid", ""), kind.group)
        pretty = wants_pretty(request.query, request.headers.get("User-Agent", ""))
        return answer(orjson.dumps(status), 200, form, pretty=pretty)

    async def _delete_collection(
        self, target: Target, resource: Resource, form: Representation, request: Request
    ) -> Answer:
        chosen = list_options(request.query, watch=False)
        options = delete_options(request.query, self._delete_body(request))
        page = await delete_collection(self.context, resource, target.namespace, chosen, options)
        data = page_data(self.context, resource, page, form, request.query)
        return answer(data, 200, form, pretty=wants_pretty(request.query, request.headers.get("User-Agent", "")))

    def _delete_body(self, request: Request) -> dict[str, object] | None:
        if not request.body:
            return None
        value, _ = parse(request.body, sent(request.headers.get("Content-Type", "")), _DELETE_OPTIONS)
        if not isinstance(value, dict):
            raise StatusError(400, "BadRequest", "the body is no DeleteOptions")
        return value


def _lane(resource: Resource, subresource: str) -> Lane | None:
    """How the main resource and its status are written; None for the subresources that go their own way."""
    if not subresource:
        return MAIN
    return STATUS if subresource == "status" and resource.has_status else None


def _options(kind: str, request: Request) -> WriteOptions:
    return write_options(kind, request.query, request.headers.get("User-Agent", ""))


def _nothing() -> None:
    """Nothing to close."""

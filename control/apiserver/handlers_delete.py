"""Delete and deletecollection: `deletion` decides, this performs.

The decision is made on one committed version and performed with that version as the precondition; if somebody was
faster it is made again. A collection is deleted object by object, all at once so that their writes share commits, and
objects that vanished meanwhile are fine.
"""

from __future__ import annotations

import asyncio

import orjson

from control.api.kinds import SERVICE
from control.api.objects import Object
from control.api.scheme import Resource
from control.api.status import StatusError, conflict, not_found
from control.apiserver.admission import admit_delete
from control.apiserver.deletion import Leave, Mark, check_preconditions, decide
from control.apiserver.handlers_context import Context
from control.apiserver.handlers_read import Page, list_page
from control.apiserver.options import DeleteOptions, ListOptions
from control.apiserver.services import release
from control.store.records import Missing, Moved, Stored

TRIES_MAX = 10


async def delete(
    context: Context, resource: Resource, namespace: str, name: str, options: DeleteOptions
) -> tuple[Stored, bool]:
    """Deletes or begins to: (the object as it is now or last was, whether it is gone)."""
    kind = resource.kind
    where = context.stored_as(kind)
    admit_delete(kind, name)
    for _ in range(TRIES_MAX):
        stored = context.store.get(where, namespace, name)
        if stored is None:
            raise not_found(kind, name)
        failed = check_preconditions(kind, stored.obj, options)
        if failed is not None:
            raise failed
        decision = decide(kind, stored.obj, options, context.now(), graceful=resource.graceful)
        if isinstance(decision, Leave):
            return stored, False
        if options.dry_run:
            return (_marked(stored, decision.obj), False) if isinstance(decision, Mark) else (stored, True)
        try:
            if isinstance(decision, Mark):
                return await context.store.put(where, namespace, name, decision.obj, expect=stored.revision), False
            gone = await context.store.delete(where, namespace, name, expect=stored.revision)
        except Moved:
            continue
        except Missing:
            raise not_found(kind, name) from None
        if kind == SERVICE:
            release(stored.obj, context.books)
        return gone, True
    raise conflict(kind, name)


async def delete_collection(
    context: Context, resource: Resource, namespace: str, chosen: ListOptions, options: DeleteOptions
) -> Page:
    """Deletes whatever a list chooses; answers with what it chose."""
    page = list_page(context, resource, namespace, chosen)
    deletions = [_delete_listed(context, resource, stored, options) for stored in page.items]
    failures = [failure for failure in await asyncio.gather(*deletions) if failure is not None]
    if failures:
        raise failures[0]
    return page


async def _delete_listed(
    context: Context, resource: Resource, stored: Stored, options: DeleteOptions
) -> StatusError | None:
    try:
        await delete(context, resource, stored.key.namespace, stored.key.name, options)
    except StatusError as error:
        return None if error.reason == "NotFound" else error
    return None


def _marked(stored: Stored, obj: Object) -> Stored:
    """What a dry run shows of an object that would be marked."""
    return Stored(stored.key, orjson.dumps(obj), stored.revision, obj)

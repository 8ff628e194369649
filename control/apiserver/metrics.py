"""The metrics APIs, served from readings of the kubelet and of the workers.

What metrics-server and a metrics adapter do in a cluster happens here: every so often all counters are read, from the
kubelet's socket and the workers' admin sockets, and two readings make a rate (`metrics_rates`). While nobody asks, that
is every `REST_S`, metrics-server's own resolution; who asks wakes it to the profile's resolution for `AWAKE_S`, so that
an idle cluster pays nothing for being measurable. A source that does not answer is left out and asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import aiohttp
import orjson

from control.api.kinds import Kind
from control.api.objects import Key, Object, key_of
from control.api.selectors import Selector, parse_labels
from control.api.status import StatusError, bad_request
from control.apiserver import metrics_objects as documents
from control.apiserver.exchange import Answer, Request
from control.apiserver.handlers_context import Context
from control.apiserver.metrics_rates import FRESH_S, Counters, Requests, Usages, counters_of
from control.apiserver.negotiate import Representation, accepted
from control.apiserver.paths import Target, method_not_allowed, not_served, parse
from control.apiserver.render import answer, include_of, partial, wants_pretty
from control.apiserver.table import plain_table

logger = logging.getLogger(__name__)

REST_S = 15.0  # metrics-server's --metric-resolution
AWAKE_S = 60.0  # after the last question; an autoscaler asks at least every 15 s
FETCH_TIMEOUT_S = 5.0  # the sockets are on this machine: whoever takes longer is stuck


class Metrics:
    """`resolution_s` is how fine the measuring is while somebody asks; `scale`: see `metrics_rates`.

    Reads once when it starts, then by itself.
    """

    def __init__(
        self,
        context: Context,
        kubelet: Path | None,
        workers: Sequence[Path] = (),
        *,
        resolution_s: float = REST_S,
        scale: float = 1.0,
    ) -> None:
        self._context = context
        self._kubelet = kubelet
        self._workers = tuple(workers)
        self._resolution_s = min(resolution_s, REST_S)
        self._usages = Usages(min(FRESH_S, resolution_s), scale)
        self._requests = Requests(scale)
        self._asked_at = float("-inf")
        self._asked = asyncio.Event()
        self._sessions: dict[Path, aiohttp.ClientSession] = {}
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Metrics of {len(self._usages.pods)} pods, {len(self._requests.per_second)} series>"

    # Reading

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.sample()
            except Exception:
                logger.exception("reading metrics failed")
            if loop.time() - self._asked_at < AWAKE_S:
                await asyncio.sleep(self._resolution_s)
                continue
            self._asked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(REST_S):
                    await self._asked.wait()

    async def sample(self) -> None:
        """One reading of everything."""
        texts = await asyncio.gather(*(self._fetch(path, "/metrics") for path in self._workers))
        counters: dict[str, Counters] = {
            path.name: counters_of(text.decode()) for path, text in zip(self._workers, texts, strict=True) if text
        }
        self._requests.take(counters, self._context.now())
        if self._kubelet is not None:
            summary = await self._fetch(self._kubelet, "/stats/summary")
            if summary:
                self._usages.take(orjson.loads(summary)["items"])

    async def _fetch(self, socket: Path, path: str) -> bytes:
        """What a socket answers; b"" where it does not."""
        session = self._sessions.get(socket)
        if session is None:
            timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
            connector = aiohttp.UnixConnector(str(socket), force_close=True)
            session = self._sessions[socket] = aiohttp.ClientSession(connector=connector, timeout=timeout)
        try:
            async with session.get(f"http://loopkube{path}") as response:
                return await response.read() if response.status == 200 else b""
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.debug("metrics of %s: %s", socket.name, error)
            return b""

    # Answering

    async def serve(self, target: Target, request: Request) -> Answer:
        """One request below one of the groups' versions."""
        if target.verb not in ("get", "list"):
            raise method_not_allowed()
        form = accepted(request.headers.get("Accept", ""))
        found, items = self.answer(target, request.query)
        if form.as_ and target.group == documents.RESOURCE:
            found = self._as(form, items, "items" in found, request.query)
        pretty = wants_pretty(request.query, request.headers.get("User-Agent", ""))
        return answer(orjson.dumps(found), 200, form, pretty=pretty)

    def _as(self, form: Representation, items: Sequence[Object], is_list: bool, query: Mapping[str, str]) -> Object:
        if form.as_ == "Table":
            return plain_table(documents.COLUMNS, items, self._context.now(), include_of(query))
        parts = [partial(item, form.version) for item in items]
        if not is_list:
            return parts[0]
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{form.version}"}
        return {**kind, "metadata": {}, "items": parts}

    def read(self, path: str) -> Object:
        """The same for who asks by a function call; `path` with its query."""
        place, _, text = path.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        target = parse("GET", place, query)
        if target is None or not serves(target):
            raise not_served()
        return self.answer(target, query)[0]

    def answer(self, target: Target, query: Mapping[str, str]) -> tuple[Object, Sequence[Object]]:
        """The document, and the objects in it; raises StatusError."""
        self._asked_at = asyncio.get_running_loop().time()
        self._asked.set()
        if target.group == documents.RESOURCE:
            return self._resource(target, query)
        if target.group == documents.CUSTOM:
            return self._custom(target, query), ()
        return self._external(target, query), ()

    def _resource(self, target: Target, query: Mapping[str, str]) -> tuple[Object, Sequence[Object]]:
        kind = documents.POD_METRICS if target.plural == "pods" else documents.NODE_METRICS
        if target.plural not in ("pods", "nodes") or target.subresource:
            raise not_served()
        if bool(target.namespace) > kind.namespaced or (target.name and bool(target.namespace) != kind.namespaced):
            raise not_served()
        if not target.name:
            items = [
                made for obj in self._objects(documents.OBJECTS[kind], target, query) for made in self._made(kind, obj)
            ]
            return documents.listed(kind, items), items
        obj = self._context.get(documents.OBJECTS[kind].resource, target.namespace, target.name)
        items = list(self._made(kind, obj)) if obj is not None else []
        if not items:
            resource = f"{kind.kind.lower()}.{kind.group}"
            name = str(Key(target.namespace, target.name))
            details = {"name": name, "group": kind.group, "kind": kind.kind.lower()}
            raise StatusError(404, "NotFound", f'{resource} "{name}" not found', details)
        return items[0], items

    def _made(self, kind: Kind, obj: Object) -> Iterable[Object]:
        now = self._context.now()
        if kind is documents.POD_METRICS:
            pod = self._usages.pods.get(key_of(obj))
            return () if pod is None else (documents.pod_metrics(obj, pod, now),)
        node = self._usages.nodes.get(key_of(obj).name)
        return () if node is None else (documents.node_metrics(obj, node, now),)

    def _objects(self, kind: Kind, target: Target, query: Mapping[str, str]) -> list[Object]:
        chosen = _selector(query, "labelSelector")
        found = self._context.list(kind.resource, target.namespace)
        return [obj for obj in found if chosen.matches(obj)]

    def _custom(self, target: Target, query: Mapping[str, str]) -> Object:
        kind, metric = documents.measured_kind(target.plural), unquote(target.subresource)
        if kind is None or metric != documents.REQUESTS or not target.namespace:
            raise not_served()
        if target.name == "*":
            objects = self._objects(kind, target, query)
        else:
            obj = self._context.get(kind.resource, target.namespace, target.name)
            if obj is None:
                text = f"the server could not find the metric {metric} for {kind.plural} {target.name}"
                raise StatusError(404, "NotFound", text, {})
            objects = [obj]
        if not _selector(query, "metricLabelSelector")({}):
            objects = []  # the metric has no labels: a selector that wants some selects nothing
        rates = self._requests
        if rates.at is None:
            objects = []
        values = [(obj, rates.per_second.get((kind.resource, key_of(obj)), 0.0)) for obj in objects]
        return documents.metric_values(metric, kind, values, rates.at or self._context.now(), rates.window_s)

    def _external(self, target: Target, query: Mapping[str, str]) -> Object:
        if target.plural not in documents.EXTERNAL_METRICS or target.name or not target.namespace:
            raise not_served()
        kind, label = documents.EXTERNAL_METRICS[target.plural]
        chosen = _selector(query, "labelSelector")
        rates = self._requests
        found = self._context.list(kind.resource, target.namespace) if rates.at is not None else ()
        series = [({label: key_of(obj).name}, rates.per_second.get((kind.resource, key_of(obj)), 0.0)) for obj in found]
        kept = [(labels, rate) for labels, rate in series if chosen(labels)]
        return documents.external_values(target.plural, kept, rates.at or self._context.now(), rates.window_s)


def serves(target: Target) -> bool:
    return target.group in documents.GROUPS and target.version == documents.version_of(target.group)


def _selector(query: Mapping[str, str], parameter: str) -> Selector:
    try:
        return parse_labels(query.get(parameter, ""))
    except ValueError as error:
        raise bad_request(f"unable to parse {parameter}: {error}") from None

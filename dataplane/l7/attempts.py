"""How a request gets to an endpoint: route, pick, connect, send - and again, if `rescue` says so.

Driven by the client's side (`begin`, `body`, `body_end`), by the pool (`acquired`, `acquire_failed`) and by the
endpoint's side (`failed`). The common case, a request without body and an idle connection, is one write and neither a
task nor a future nor a timer.

What a retry needs is kept until it cannot be needed any more: the head is rendered from the Request, and of the body
at most `Limits.replay_max` bytes are kept. The lease of an endpoint is held from its pick to the
end of the attempt; there is at most one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dataplane.filters.passage import Answer
from dataplane.filters.policy import Policy
from dataplane.l7 import rescue
from dataplane.l7.codec import REMEMBERED_MAX
from dataplane.l7.events import Fields, Request
from dataplane.l7.exchange import (
    ANSWER_BEGUN,
    CONNECTED,
    CONNECTING,
    CROSSING,
    IDLE,
    NEXT,
    REQUEST,
    REQUEST_END,
    RETRY,
    SENDING,
    SENT,
)
from dataplane.l7.headers import Edge
from dataplane.l7.rescue import Failure
from dataplane.l7.treatment import Treatment, asked_of, key_of
from dataplane.pool.pool import DialFailure, PoolFull
from dataplane.table import Backend, Endpoint, Resolve

if TYPE_CHECKING:
    from dataplane.l7.proxy import AnyPool, HttpProxy
    from dataplane.l7.sides import ClientSide, EndpointSide

HEAD_KEPT_MAX: Final = 2 * REMEMBERED_MAX
"""A longer head is rendered anew each time rather than kept by an idle connection."""


class Attempts:
    """The request's half of a client connection's exchanges. Fields after `state` belong to the exchange under way."""

    __slots__ = ("_complete", "_head", "_head_of", "_sent", "_trailers", "_tried", "_unsent",
                 "_waits_in", "backend", "began", "bytes_in", "bytes_out", "client", "connect_s",
                 "covers", "edge", "endpoint", "exchanges", "first_byte_s", "listener", "phase", "proxy",
                 "request", "resolve", "route", "spec", "state", "status", "treatment", "tries",
                 "upstream")  # fmt: skip

    def __init__(self, proxy: HttpProxy, client: ClientSide, edge: Edge, listener: str, resolve: Resolve) -> None:
        self.proxy = proxy
        self.client = client
        self.edge = edge
        self.listener = listener
        self.resolve = resolve
        self.covers: Callable[[bytes], bool] | None = None  # whether a host may be asked for in this connection
        self.exchanges = 0
        self.state = IDLE
        self._head_of: Request | None = None  # whose head upstream is `_head`: clients repeat themselves
        self._head = b""
        self.began = 0.0
        self._forget(None)

    def _forget(self, request: Request | None) -> None:
        """Nothing is known yet of the exchange that begins with `request`."""
        self.request = request
        self.backend: Backend | None = None
        self.spec = rescue.NO_BACKEND
        self.endpoint: Endpoint | None = None
        self.upstream: EndpointSide | None = None
        self._waits_in: AnyPool | None = None
        self._tried: tuple[str, ...] = ()
        self._sent: bytes | None = b""
        self._trailers: Fields = ()
        self._complete = False
        self._unsent = 0
        self.tries = self.status = self.bytes_in = self.bytes_out = 0
        self.first_byte_s = self.connect_s = -1.0
        self.phase = self.route = ""
        self.treatment: Treatment | None = None

    # the client's side

    def begin(self, request: Request, *, complete: bool, body: bytes = b"") -> None:
        """A request's head is here; `complete`: so is its whole body, which may be empty."""
        self.state = NEXT[self.state][REQUEST]
        self._forget(request)
        self.began = now = self.proxy.clock()
        self.exchanges += 1
        self._complete = complete
        if body:
            self._sent = body
            self.bytes_in = len(body)
        terms = request.terms
        if terms.local_status:
            self.reply(terms.local_status, "", "ok")
            return
        if self.covers is not None and not self.covers(terms.host):
            self.failed("misdirected")
            return
        match = self.resolve(terms.host, request.path)
        if match is None:
            self.failed("no_route")
            return
        backend, self.route, policy = match
        self.backend = backend
        self.spec = backend.spec
        if policy is not None:
            self._begin_treated(policy, backend, now)
            return
        endpoint = backend.pick((), now, b"" if backend.key is None else key_of(request, self.edge, backend))
        if endpoint is None:
            self.failed("no_endpoint")
        else:
            self._attempt(backend, endpoint, now)

    def _begin_treated(self, policy: Policy, backend: Backend, now: float) -> None:
        """The route has a policy: it may answer itself, change the request, or choose another backend or endpoint."""
        request = self.request
        assert request is not None
        verdict = policy.decide(asked_of(request, self.edge, now, now + self.proxy.wall_offset, backend))
        if isinstance(verdict, Answer):
            self.reply(verdict.status, verdict.text, "policy", verdict.lines)
            return
        self.treatment = treatment = Treatment(verdict)
        self.backend, self.route = verdict.backend, verdict.route
        self.spec = verdict.backend.spec
        self.request = treatment.request(request)
        if self._is_too_long():
            return
        endpoint = treatment.pick(verdict.backend)
        if endpoint is None:
            self.failed("no_endpoint")
        else:
            self._attempt(verdict.backend, endpoint, now)

    def _is_too_long(self) -> bool:
        """Whether the request's body is longer than its route allows; then it has been refused."""
        treatment = self.treatment
        if treatment is None or not treatment.body_max or self.bytes_in <= treatment.body_max:
            return False
        self.refuse(413, f"the body is longer than {treatment.body_max} bytes")
        return True

    def body(self, data: bytes) -> None:
        """A piece of the request's body."""
        self._keep(data)
        if self.treatment is not None and self._is_too_long():
            return
        if self.state is CONNECTING:
            if self._sent is not None and len(self._sent) > self.proxy.limits.held_max:
                self.client.pause("connecting")
        elif self.upstream is not None and self.state in (SENDING, CROSSING):
            self._limit_replay()
            if self.state is SENDING:
                self.client.set_deadline(self.proxy.clock() + self.proxy.limits.body_timeout_s)
            if data:
                self.upstream.send_body(data)  # which may call `endpoint_full`

    def body_end(self, data: bytes = b"", trailers: Fields = ()) -> None:
        """The request is complete with `data` as its last piece."""
        self._keep(data)
        self._trailers = trailers
        self._complete = True
        if self.treatment is not None and self._is_too_long():
            return
        if self.state in (SENDING, CROSSING):
            self._limit_replay()
            if self.upstream is not None:
                self.upstream.end_body(data, trailers)
            self.state = NEXT[self.state][REQUEST_END]
            self.client.set_deadline(self.proxy.clock() + self.spec.response_timeout_s)

    def _keep(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self._sent is not None and data:
            self._sent += data

    # the endpoint's pace

    def endpoint_full(self) -> None:
        """The endpoint does not take the request as fast as it comes: the client waits, and it has so long to go on."""
        assert self.upstream is not None
        self._unsent = self.upstream.unsent
        self.client.pause("upstream")
        self.client.set_deadline(self.proxy.clock() + self.spec.send_timeout_s)

    def endpoint_takes(self) -> None:
        """It goes on."""
        self.client.resume("upstream")
        if self.state in (SENDING, CROSSING):
            self.client.set_deadline(self.proxy.clock() + self.proxy.limits.body_timeout_s)

    def overdue(self, now: float) -> None:
        """The endpoint's time is over, be it to take the request or to answer; it goes on while it takes anything."""
        unsent = self.upstream.unsent if self.upstream is not None else 0
        if self.state in (SENDING, CROSSING) and 0 < unsent < self._unsent:
            self._unsent = unsent
            self.client.set_deadline(now + self.spec.send_timeout_s)
        else:
            self.failed("response_timeout")

    # the pool's side

    def acquired(self, connection: EndpointSide, connect_s: float) -> None:
        """Here is a connection."""
        self._waits_in = None
        self.connect_s = connect_s
        self._send(connection, self.proxy.clock())

    def acquire_failed(self, failure: DialFailure) -> None:
        """The dial failed."""
        self._waits_in = None
        self.failed(failure)

    # one attempt

    def _attempt(self, backend: Backend, endpoint: Endpoint, now: float) -> None:
        """Send the request to this endpoint, which is leased, as soon as there is a connection."""
        self.endpoint = endpoint
        self.phase = endpoint.phase
        self.tries += 1
        pool: AnyPool = endpoint.pool or self.proxy.pool_of(backend, endpoint)
        if pool.idle:
            self._send(pool.idle.pop(), now)
        else:
            self._acquire(pool, now, fresh=False)

    def _acquire(self, pool: AnyPool, now: float, *, fresh: bool) -> None:
        self.proxy.refresh(pool, self.spec)
        self.client.set_deadline(now + self.spec.connect_timeout_s + self.proxy.limits.sweep_s)
        try:
            upstream = pool.acquire(self, fresh=fresh)
        except PoolFull:
            self.failed("pool_full")
            return
        if upstream is not None:
            self._send(upstream, now)
        else:
            self._waits_in = pool

    def _send(self, upstream: EndpointSide, now: float) -> None:
        """The head, and what of the body is here."""
        self.upstream = upstream
        self._unsent = 0
        upstream.user = self  # type: ignore[assignment]  # there are no Attempts but Conversations
        body = self._sent
        upstream.send_request(self, body or b"", self._trailers, self._complete)  # type: ignore[arg-type]
        if body:
            self._limit_replay()
        if self._complete:
            self.state = NEXT[self.state][SENT]
            self.client.set_deadline(now + self.spec.response_timeout_s)
        else:
            self.state = NEXT[self.state][CONNECTED]
            self.client.set_deadline(
                now + (self.spec.send_timeout_s if self._unsent else self.proxy.limits.body_timeout_s)
            )
            self.client.resume("connecting")

    def upstream_head(self) -> bytes:
        """The head as an HTTP/1 endpoint gets it."""
        request = self.request
        assert request is not None
        if request is self._head_of:
            return self._head
        head = self.edge.upstream_head(request)
        if len(head) <= HEAD_KEPT_MAX:
            self._head, self._head_of = head, request
        return head

    def _limit_replay(self) -> None:
        if self._sent is not None and len(self._sent) > self.proxy.limits.replay_max:
            self._sent = None

    # and again

    def failed(self, failure: Failure, *, reused: bool = False) -> None:
        """Ask `rescue`, and do what it says. `reused`: the failed connection came from the pool."""
        request = self.request
        assert request is not None
        verdict = rescue.verdict(
            failure,
            self.spec,
            tries=self.tries,
            idempotent=request.terms.idempotent,
            replayable=self._sent is not None,
            answer_begun=self.state in ANSWER_BEGUN,
            reused=reused,
            took_s=self.proxy.clock() - self.began,
        )
        if self.endpoint is not None:
            self.endpoint.failed += 1
            self._learn_failure()
        if verdict.again != "no" and self._again(verdict.again):
            return
        if verdict.status:
            self.reply(verdict.status, verdict.text, verdict.outcome)
        else:
            self.abort(verdict.outcome)

    def passes_over(self, status: int) -> bool:
        """Whether an endpoint's answer with this status is not relayed because another endpoint has been asked."""
        request = self.request
        assert request is not None
        passed_over = rescue.passes_over(
            status,
            self.spec,
            tries=self.tries,
            idempotent=request.terms.idempotent,
            replayable=self._sent is not None and self._complete,
            took_s=self.proxy.clock() - self.began,
        )
        if passed_over:
            self._learn_failure()
        return passed_over and self._again("next")

    def _learn_failure(self) -> None:
        if self.backend is not None and self.endpoint is not None:
            now = self.proxy.clock()
            self.backend.answered(self.endpoint, False, now - self.began, now)

    def _again(self, again: rescue.Again) -> bool:
        """Another attempt; False if there is no endpoint for it."""
        backend, endpoint = self.backend, self.endpoint
        assert backend is not None
        assert endpoint is not None
        other, now, tried = None, self.proxy.clock(), (*self._tried, endpoint.id)
        if again == "next" and backend.feedback is not None and not backend.feedback.may_retry(now):
            return False
        if again == "next" or endpoint.phase not in ("ready", "serving-terminating"):  # it left, so it closed
            other = backend.pick(tried, now, key_of(self.request, self.edge, backend))
            if other is None:
                return False
        self._drop_upstream()
        self.state = NEXT[self.state][RETRY]
        self.connect_s = -1.0
        if other is None:
            self._acquire(self.proxy.pool_of(backend, endpoint), now, fresh=True)
            return True
        self._tried = tried
        backend.release(endpoint)
        self._attempt(backend, other, now)
        return True

    def _drop_upstream(self) -> None:
        """Leave the attempt's connection, which is in the middle of something, or the line for one."""
        if self._waits_in is not None:
            self._waits_in.cancel(self)
            self._waits_in = None
        if self.upstream is not None:
            self.upstream.user = None
            self.upstream.abort()
            self.upstream = None
            self.client.resume("upstream")

    # what the other half does

    def reply(self, status: int, text: str, outcome: str, lines: bytes = b"") -> None:
        """An answer of our own, with further field lines."""
        raise NotImplementedError

    def refuse(self, status: int, text: str) -> None:
        """The same, to bytes after which nothing can be believed."""
        raise NotImplementedError

    def abort(self, outcome: str) -> None:
        """The answer cannot be completed."""
        raise NotImplementedError

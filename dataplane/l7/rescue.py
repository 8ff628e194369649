"""What a failure means for the client: another try, or which status code. The only place that chooses.

Failures are named for whose fault and which phase. Three questions decide about another try, in this order:

1. *May it be repeated at all?* Not once a byte of a final response is out, and not if the request's body is gone
   (more than `Limits.replay_max` of it was passed on). A request that the origin may have begun to execute may be
   repeated only if its method is idempotent (RFC 9110 9.2.2); one that never left, or of which an HTTP/2 origin says
   that it was not looked at (RFC 9113 8.7), may be, whatever it is.
2. *Was it our own doing?* A pooled connection that the origin closed while we wrote to it is an artefact of our pool:
   a client of its own would have seen the close. So it is tried again, on a fresh connection of the same endpoint,
   whatever the policy, and not counted as a try (nginx does the same for cached peers). The same holds for a GOAWAY.
3. *What does the policy say?* `none` and `kube-proxy` never try again: kube-proxy sends a connection to one endpoint
   and lets it fail, and people come here to see that. `ingress-nginx` is nginx's proxy_next_upstream: up to `tries_max`
   endpoints, never the same twice in one request, not after `retry_timeout_s`, and for the causes in `retry_on` ("error
   timeout" by default; status codes of answers and bad heads may be causes too). `retries_any_method` is its
   non_idempotent.

Status codes, RFC 9110 15.6: 502 when the origin refused, reset or spoke nonsense; 504 when it took too long; 503 when
we could not even ask (no endpoint, full); and 421 where another connection would be asked. Once the response has begun
there is no status left to send: the connection is cut, so that the client sees that something is missing.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from dataplane.snapshot.model import Backend, RetryCause

Failure = Literal[
    "misdirected",
    "no_route",
    "no_endpoint",
    "pool_full",
    "pool_timeout",
    "connect_refused",
    "connect_timeout",
    "no_socket",
    "reset_before_head",
    "reset_in_head",
    "reset_in_body",
    "response_timeout",
    "bad_response",
    "unprocessed",
]

Again = Literal["no", "same", "next"]
"""No further try; on a fresh connection to the same endpoint; on an endpoint not tried yet."""


class Verdict(NamedTuple):
    """What to do. `status` 0 means: cut the connection. `outcome` is a key of metrics.flows.OUTCOMES."""

    again: Again
    status: int
    text: str
    outcome: str


ANSWERS: Final[dict[Failure, tuple[int, str, str]]] = {
    "misdirected": (421, "this host has a certificate of its own: open a connection for it", "no_route"),
    "no_route": (404, "default backend - 404", "no_route"),  # the words of ingress-nginx's default backend
    "no_endpoint": (503, "no endpoint is available", "no_endpoint"),
    "pool_full": (503, "too many requests are waiting for the endpoint", "overload"),
    "pool_timeout": (503, "no connection to the endpoint became free in time", "overload"),
    "connect_refused": (502, "the endpoint refused the connection", "refused"),
    "connect_timeout": (504, "the endpoint did not accept the connection in time", "timeout"),
    "no_socket": (503, "the proxy has no socket left", "overload"),
    "reset_before_head": (502, "the endpoint closed the connection before it answered", "reset"),
    "reset_in_head": (502, "the endpoint closed the connection within its answer", "reset"),
    "reset_in_body": (502, "the endpoint closed the connection within its answer", "reset"),
    "response_timeout": (504, "the endpoint did not answer in time", "timeout"),
    "unprocessed": (503, "the endpoint refused to look at the request", "refused"),
    "bad_response": (502, "the endpoint's answer is not valid HTTP", "bad_response"),
}

_NEVER_SENT: Final = frozenset(("pool_full", "pool_timeout", "connect_refused", "connect_timeout", "no_socket"))

_CAUSES: Final[dict[Failure, RetryCause]] = {
    "connect_refused": "error",
    "connect_timeout": "timeout",
    "reset_before_head": "error",
    "reset_in_head": "error",
    "response_timeout": "timeout",
    "bad_response": "invalid_header",
    "unprocessed": "error",
}
"""What nginx calls these failures."""

_STATUSES: Final[dict[int, RetryCause]] = {
    403: "http_403",
    404: "http_404",
    429: "http_429",
    500: "http_500",
    502: "http_502",
    503: "http_503",
    504: "http_504",
}


def verdict(
    failure: Failure,
    spec: Backend,
    *,
    tries: int,
    idempotent: bool,
    replayable: bool,
    answer_begun: bool,
    reused: bool,
    took_s: float = 0.0,
) -> Verdict:
    """What to do about `failure` in the try number `tries`. `reused`: the connection came from the pool; `took_s`: so
    long ago the first try began."""
    status, text, outcome = ANSWERS[failure]
    if answer_begun:
        return Verdict("no", 0, text, outcome)
    unprocessed = failure in _NEVER_SENT or (replayable and failure == "unprocessed")
    repeatable = unprocessed or (replayable and idempotent)
    if repeatable and reused and failure in ("reset_before_head", "unprocessed"):
        return Verdict("same", status, text, outcome)
    repeatable = repeatable or (replayable and spec.retries_any_method)
    if repeatable and _goes_on(_CAUSES.get(failure), spec, tries, took_s):
        return Verdict("next", status, text, outcome)
    return Verdict("no", status, text, outcome)


def passes_over(
    status: int, spec: Backend, *, tries: int, idempotent: bool, replayable: bool, took_s: float = 0.0
) -> bool:
    """Whether an answer with this status is not to be relayed if another endpoint can be asked instead."""
    repeatable = replayable and (idempotent or spec.retries_any_method)
    return repeatable and _goes_on(_STATUSES.get(status), spec, tries, took_s)


def _goes_on(cause: RetryCause | None, spec: Backend, tries: int, took_s: float) -> bool:
    """What the policy says to another endpoint for this cause."""
    if spec.retry != "ingress-nginx" or cause not in spec.retry_on:
        return False
    in_time = not spec.retry_timeout_s or took_s < spec.retry_timeout_s
    return in_time and (not spec.tries_max or tries < spec.tries_max)


NO_BACKEND: Final = Backend(name="")
"""What applies while no backend is known: nothing is tried."""

"""What a failure means for the client: another try, or which status code. The only place that chooses.

Failures are named for whose fault and which phase. Three questions decide about another try, in this order:

1. *May it be repeated at all?* Not once a byte of a final response is out, and not if the request's body is gone
   (more than `Limits.replay_max` of it was passed on). A request that the origin may have begun to execute may be
   repeated only if its method is idempotent (RFC 9110 9.2.2); one that never left may be, whatever it is.
2. *Was it our own doing?* A pooled connection that the origin closed while we wrote to it is an artefact of our pool:
   a client of its own would have seen the close. So it is tried again, on a fresh connection of the same endpoint,
   whatever the policy, and not counted as a try (nginx does the same for cached peers).
3. *What does the policy say?* `none` and `kube-proxy` never try again: kube-proxy sends a connection to one endpoint
   and lets it fail, and people come here to see that. `ingress-nginx` is its default proxy-next-upstream "error
   timeout" up to `tries_max` endpoints, never the same twice in one request.

Status codes, RFC 9110 15.6: 502 when the origin refused, reset or spoke nonsense; 504 when it took too long; 503 when
we could not even ask (no endpoint, full). Once the response has begun there is no status left to send: the
connection is cut, so that the client sees that something is missing.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from dataplane.snapshot.model import Backend, Retry

Failure = Literal[
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
    "bad_response": (502, "the endpoint's answer is not valid HTTP", "bad_response"),
}

_NEVER_SENT: Final = frozenset(("pool_full", "pool_timeout", "connect_refused", "connect_timeout", "no_socket"))
_RETRIED_BY_NGINX: Final = frozenset(
    ("connect_refused", "connect_timeout", "reset_before_head", "reset_in_head", "response_timeout")
)
"""proxy_next_upstream "error timeout": not invalid_header, so a bad response is final."""


def verdict(
    failure: Failure,
    *,
    policy: Retry,
    tries: int,
    tries_max: int,
    idempotent: bool,
    replayable: bool,
    answer_begun: bool,
    reused: bool,
) -> Verdict:
    """What to do about `failure` in the try number `tries`. `reused`: the connection came from the pool."""
    status, text, outcome = ANSWERS[failure]
    if answer_begun:
        return Verdict("no", 0, text, outcome)
    repeatable = failure in _NEVER_SENT or (idempotent and replayable)
    if repeatable and reused and failure == "reset_before_head":
        return Verdict("same", status, text, outcome)
    if repeatable and policy == "ingress-nginx" and failure in _RETRIED_BY_NGINX and tries < tries_max:
        return Verdict("next", status, text, outcome)
    return Verdict("no", status, text, outcome)


NO_BACKEND: Final = Backend(name="")
"""What applies while no backend is known: nothing is tried."""

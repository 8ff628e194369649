"""How an Ingress's annotations want its backends used: timeouts, retries, balancing.

The defaults are the contract's, which are ingress-nginx's, but for retries: by themselves there are none (they hide
losses), and whoever writes one of the three proxy-next-upstream annotations gets ingress-nginx's, with its defaults for
the other two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from control.publish.annotations.reader import Reader
from control.publish.balancing import Balancing
from control.publish.unit import Config
from dataplane.snapshot.model import Backend, Policy, Protocol, RetryCause

TRIES_MAX = 3  # ingress-nginx's proxy-next-upstream-tries
PROTOCOLS: dict[str, Protocol] = {"http": "http1", "grpc": "h2c"}
CAUSES = ("error", "timeout")  # its proxy-next-upstream
BALANCES: dict[str, Policy] = {"round_robin": "round-robin", "ewma": "peak-ewma"}
NOTHING = Balancing()


@dataclass(frozen=True, slots=True)
class BackendTerms:
    """What an Ingress asks of its backends; None: nothing, so that its backends are those of all Ingresses."""

    balancing: Balancing = NOTHING
    protocol: Protocol | None = None
    via_service: bool = False  # its cluster IP is the endpoint
    connect_timeout_s: float | None = None
    send_timeout_s: float | None = None
    response_timeout_s: float | None = None
    causes: tuple[str, ...] | None = None
    tries_max: int = TRIES_MAX
    retry_timeout_s: float = 0.0

    def backend(self, name: str, service: Balancing, config: Config, protocol: Protocol = "http1") -> Backend:
        """The backend on these terms; `service`, `config` and `protocol` say what holds where they say nothing."""
        usual = Backend(name)
        causes = self.causes
        if causes is None:
            retry, tries_max = config.ingress_retry, config.ingress_tries_max
        else:
            retry, tries_max = ("none", 1) if "off" in causes else ("ingress-nginx", self.tries_max)
        on = tuple(cause for cause in (causes or CAUSES) if cause not in ("off", "non_idempotent"))
        backend = Backend(
            name,
            "round-robin",
            retry,
            tries_max,
            retry_on=cast("tuple[RetryCause, ...]", on),
            retry_timeout_s=self.retry_timeout_s,
            retries_any_method=causes is not None and "non_idempotent" in causes,
            connect_timeout_s=self.connect_timeout_s or usual.connect_timeout_s,
            send_timeout_s=self.send_timeout_s or usual.send_timeout_s,
            response_timeout_s=self.response_timeout_s or usual.response_timeout_s,
            protocol=self.protocol or protocol,
        )
        return self.balancing.over(service).of(backend)


NO_TERMS = BackendTerms()


def backend_terms(reader: Reader, own: Balancing) -> BackendTerms:
    """`own` is what our own annotations say; they come before ingress-nginx's."""
    hash_on = reader.get("upstream-hash-by")
    theirs = Balancing("ring-hash", hash_on) if hash_on else Balancing(BALANCES.get(reader.get("load-balance", "")))
    causes = reader.get("proxy-next-upstream")
    if causes is None and reader.has("proxy-next-upstream-tries", "proxy-next-upstream-timeout"):
        causes = CAUSES
    return BackendTerms(
        balancing=own.over(theirs),
        via_service=reader.get("service-upstream", False),
        protocol=PROTOCOLS.get(reader.get("backend-protocol", "")),
        connect_timeout_s=reader.get("proxy-connect-timeout"),
        send_timeout_s=reader.get("proxy-send-timeout"),
        response_timeout_s=reader.get("proxy-read-timeout"),
        causes=causes,
        tries_max=reader.get("proxy-next-upstream-tries", TRIES_MAX),
        retry_timeout_s=float(reader.get("proxy-next-upstream-timeout", 0)),
    )

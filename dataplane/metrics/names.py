"""Every metric that a worker exposes: this table is its documentation and the only place where a name is written.

Names follow Prometheus' rules: the unit last, `_total` on counters, seconds and bytes without prefixes. `listener`,
`route`, `backend` are the names of the contract's resources; `outcome` is a key of `flows.OUTCOMES`; `code` is the
status code that the client got.
"""

from __future__ import annotations

from dataplane.metrics.registry import Family

# Envoy's and nginx's users look at milliseconds; the finest bound is what a request costs here, the widest is
# ingress-nginx's read timeout of 60 s
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# kube-proxy's network_programming_duration_seconds starts at 0.25 s; ours is expected in milliseconds
PROGRAMMING_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0
)  # fmt: skip

REQUESTS = Family(
    "loopkube_requests_total",
    "counter",
    "HTTP requests that ended, by what the client got and how it ended.",
    ("listener", "backend", "code", "outcome"),
)
CONNECTIONS = Family(
    "loopkube_tcp_connections_total",
    "counter",
    "TCP connections of tcp listeners that ended, by how.",
    ("listener", "backend", "outcome"),
)
REQUEST_SECONDS = Family(
    "loopkube_request_duration_seconds",
    "histogram",
    "From a request's first byte to its answer's last, for requests that got an endpoint, by route.",
    ("backend", "route"),
    SECONDS,
)
ENDPOINT_SECONDS = Family(
    "loopkube_endpoint_duration_seconds",
    "histogram",
    "The same by the endpoint that was tried last: namespace/pod, or its id where there is no pod.",
    ("backend", "endpoint"),
    SECONDS,
)
CONNECT_SECONDS = Family(
    "loopkube_connect_duration_seconds", "histogram", "Time to connect to an endpoint.", ("backend",), SECONDS
)
BYTES = Family(
    "loopkube_bytes_total",
    "counter",
    "Payload bytes from (in) and to (out) clients.",
    ("listener", "backend", "direction"),
)
RETRIES = Family("loopkube_retries_total", "counter", "Endpoints tried beyond the first one.", ("backend",))

ACCEPTED = Family("loopkube_accepted_total", "counter", "Connections accepted.", ("listener",))
ACCEPT_PAUSES = Family(
    "loopkube_accept_pauses_total",
    "counter",
    "Times that accepting paused: reason descriptors (none left), limit (connections_max) or memory.",
    ("reason",),
)
LISTEN_FAILURES = Family(
    "loopkube_listen_failures_total", "counter", "Failed attempts to open a listener's socket.", ("listener", "reason")
)
HTTP2_FAULTS = Family(
    "loopkube_http2_faults_total",
    "counter",
    "Faults of HTTP/2 peers: malformed (a stream), protocol_error and flood (a connection), refused_stream (too many).",
    ("fault",),
)
TLS_FAILURES = Family("loopkube_tls_handshake_failures_total", "counter", "Handshakes that failed.", ("listener",))
LISTENERS = Family(
    "loopkube_listeners",
    "gauge",
    "Listeners by state: open or failed (wanted, but the socket could not be had).",
    ("state",),
)
ACTIVE = Family(
    "loopkube_active_connections",
    "gauge",
    "Client connections and flows open now, by protocol (tcp, udp, http).",
    ("protocol",),
)
UDP_DROPPED = Family(
    "loopkube_udp_dropped_total", "counter", "Datagrams without an endpoint, or that no socket had room for."
)

ENDPOINTS = Family("loopkube_endpoints", "gauge", "Endpoints by backend and phase of life.", ("backend", "phase"))
LEASES = Family("loopkube_endpoint_leases", "gauge", "Requests and connections under way, by backend.", ("backend",))
EJECTED = Family("loopkube_ejected_endpoints", "gauge", "Endpoints that outlier ejection keeps out now.", ("backend",))
EJECTIONS = Family("loopkube_ejections_total", "counter", "Endpoints ejected as outliers.", ("backend",))
RETRIES_DENIED = Family(
    "loopkube_retries_denied_total", "counter", "Retries that a backend's budget did not allow.", ("backend",)
)
AFFINITY = Family("loopkube_affinity_entries", "gauge", "Clients remembered for session affinity.")
PROGRAMMING = Family(
    "loopkube_endpoint_programming_seconds",
    "histogram",
    "From the cause of a change (a pod's Ready transition; the oldest of a batch) until it is in force in this worker.",
    (),
    PROGRAMMING_SECONDS,
)
UPDATES = Family("loopkube_updates_total", "counter", "Updates from the publisher: applied or refused.", ("result",))
VERSION = Family("loopkube_snapshot_version", "gauge", "Version of the state in force; -1 before the first.")
WARNINGS = Family(
    "loopkube_warnings",
    "gauge",
    "What users wrote and cannot be served as written, by the reason of the Warning event about it.",
    ("reason",),
)
FEED_CONNECTED = Family("loopkube_feed_connected", "gauge", "1 while connected to the publisher.")
FEED_CONNECTS = Family("loopkube_feed_connects_total", "counter", "Connections made to the publisher.")

DNS_ANSWERS = Family(
    "loopkube_dns_answers_total",
    "counter",
    "Answers to DNS questions, by code and by where they came from: kept (ready bytes), zone, upstream.",
    ("code", "source"),
)
DNS_DROPPED = Family("loopkube_dns_dropped_total", "counter", "DNS messages that deserve no answer.")
DNS_KEPT = Family("loopkube_dns_kept_answers", "gauge", "DNS answers that are ready to be sent.")
DNS_PENDING = Family("loopkube_dns_pending", "gauge", "DNS questions that wait for an upstream.")

FLOWS = Family("loopkube_flow_records_total", "counter", "Flow records written since the start.")
FLOWS_DROPPED = Family(
    "loopkube_flow_records_dropped_total", "counter", "Flow records that followers were too slow for."
)
INFO = Family("loopkube_worker_info", "gauge", "1; which worker this is.", ("name",))
CPU_SECONDS = Family("process_cpu_seconds_total", "counter", "User and system CPU time of the process.")
RESIDENT_BYTES = Family("process_resident_memory_bytes", "gauge", "Resident memory of the process.")
OPEN_FDS = Family("process_open_fds", "gauge", "Open file descriptors of the process.")
MAX_FDS = Family("process_max_fds", "gauge", "Most file descriptors that the process may have open.")
START_SECONDS = Family("process_start_time_seconds", "gauge", "Unix time of the process's start.")

FAMILIES: tuple[Family, ...] = tuple(each for each in tuple(globals().values()) if isinstance(each, Family))


def markdown() -> str:
    """The table for people."""
    lines = ["| metric | kind | labels | what |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.kind} | {', '.join(each.labels)} | {each.help} |" for each in FAMILIES]
    return "\n".join(lines)

"""The open listeners of a worker, kept as the table wants them.

`reconcile` is told which listeners closed and opened and does just that. A listener that changed is closed first, so
that its address is free. Where a socket cannot be opened (a port that somebody else holds) the listener is *failed*:
that is said once in the log, shown on the admin page, counted, and tried again, since the other program may end.
A listener whose name was handed over as a descriptor (`inherited`) uses that socket instead of opening its own. A dns
listener has two sockets, TCP and UDP, at one address; it is open if both are.

Only what happens to new connections is decided here. Open connections have left this room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dataplane.listen.accept import Acceptor, Gate, Service
from dataplane.listen.sockets import ListenError, adopt, open_datagram_socket, open_socket, steer_by_client
from dataplane.listen.udp import Reader, Receive, Receiver
from dataplane.metrics import names
from dataplane.snapshot.model import Listener

log = logging.getLogger(__name__)

REOPEN_S = 1.0  # between attempts at a socket that could not be opened


@dataclass(frozen=True, slots=True)
class ListenerState:
    """How a wanted listener is doing: `error` is empty while it accepts."""

    listener: Listener
    error: str
    is_inherited: bool


def _nobody(listener: Listener, sock: socket.socket) -> Reader:
    return Reader(lambda: None)


class Listeners:
    """All listeners of one worker. `serve` says what happens to a listener's connections, `receive` to the datagrams of
    udp and dns listeners, `workers` how many open the same ones."""

    def __init__(
        self,
        serve: Callable[[Listener], Service],
        gate: Gate,
        inherited: Mapping[str, int] | None = None,
        workers: int = 1,
        receive: Receive = _nobody,
    ) -> None:
        self._serve = serve
        self._receive = receive
        self._gate = gate
        self._inherited = dict(inherited or {})
        self._workers = workers
        self._wanted: dict[str, Listener] = {}
        self._acceptors: dict[str, Acceptor] = {}
        self._receivers: dict[str, Receiver] = {}
        self._errors: dict[str, str] = {}
        self._retry: asyncio.TimerHandle | None = None
        gate.registry.at_scrape(self._measure)

    def __repr__(self) -> str:
        return f"Listeners({self._open_now} open, {len(self._errors)} failed)"

    @property
    def _open_now(self) -> int:
        return len(self._wanted) - len(self._errors)

    @property
    def states(self) -> tuple[ListenerState, ...]:
        """Every listener that ought to be open."""
        return tuple(
            ListenerState(listener, self._errors.get(name, ""), name in self._inherited)
            for name, listener in self._wanted.items()
        )

    def port(self, name: str) -> int:
        """The port on which an open listener really listens."""
        number: int = self._acceptors[name].sock.getsockname()[1]
        return number

    def reconcile(self, opened: Iterable[Listener], closed: Iterable[Listener]) -> None:
        """Close and open what changed; no connection is touched."""
        for listener in closed:
            self._close(listener.name)
        for listener in opened:
            self._wanted[listener.name] = listener
            self._open(listener)
        self._plan_retry()

    def close(self) -> None:
        """Stop accepting on all of them, for good."""
        for name in tuple(self._wanted):
            self._close(name)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _close(self, name: str) -> None:
        self._wanted.pop(name, None)
        self._errors.pop(name, None)
        acceptor = self._acceptors.pop(name, None)
        if acceptor is not None:
            acceptor.close()
        receiver = self._receivers.pop(name, None)
        if receiver is not None:
            receiver.close()

    def _open(self, listener: Listener) -> None:
        name = listener.name
        try:
            self._open_sockets(listener)
        except ListenError as error:
            if self._errors.get(name) != str(error):
                log.warning("listener %s: %s", name, error)
            self._errors[name] = str(error)
            self._gate.registry.value(names.LISTEN_FAILURES, name, error.reason).value += 1
        else:
            self._errors.pop(name, None)

    def _open_sockets(self, listener: Listener) -> None:
        """What the listener needs, or ListenError and nothing."""
        name, port = listener.name, listener.port
        stream = None if listener.mode == "udp" else self._stream_socket(listener)
        if listener.mode in ("udp", "dns"):
            try:
                datagrams = open_datagram_socket(listener.address, stream.getsockname()[1] if stream else port)
            except ListenError:
                if stream is not None:
                    stream.close()
                raise
            self._steer(listener, datagrams)
            self._receivers[name] = Receiver(listener, datagrams, self._receive)
        if stream is not None:
            self._acceptors[name] = Acceptor(name, stream, self._serve(listener), self._gate)

    def _stream_socket(self, listener: Listener) -> socket.socket:
        if listener.name in self._inherited:
            sock = adopt(self._inherited[listener.name])
            self._compare(listener, sock.getsockname())
            return sock
        sock = open_socket(listener.address, listener.port)
        self._steer(listener, sock)
        return sock

    def _compare(self, listener: Listener, actual: tuple[object, ...]) -> None:
        if actual[:2] != (listener.address, listener.port):
            log.warning(
                "listener %s: the socket handed over is at %s:%s, not at %s:%s; it is used",
                listener.name, *actual[:2], listener.address, listener.port,
            )  # fmt: skip

    def _steer(self, listener: Listener, sock: socket.socket) -> None:
        if not listener.affinity_timeout_s or self._workers == 1:
            return
        try:
            steer_by_client(sock, self._workers)
        except OSError as error:
            log.warning("listener %s: a client's affinity holds per worker only: %s", listener.name, error.strerror)

    def _plan_retry(self) -> None:
        if self._errors and self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(REOPEN_S, self._on_retry)

    def _on_retry(self) -> None:
        self._retry = None
        for name in tuple(self._errors):
            with contextlib.suppress(KeyError):
                self._open(self._wanted[name])
        self._plan_retry()

    def _measure(self) -> None:
        self._gate.registry.replace(names.LISTENERS, {("open",): self._open_now, ("failed",): len(self._errors)})

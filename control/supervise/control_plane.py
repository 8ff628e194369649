"""The control process, composed: store, API server, controllers, publisher, in the order in which they need each other.

Everything above the store speaks the Kubernetes API, here by function call. The API is open before the controllers
have read their first lists; the publisher says nothing to the workers until it has, so that a restart never empties
their tables.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from control.apiserver.auth import Authenticator
from control.apiserver.server import ApiServer
from control.config.folders import Folders
from control.config.settings import Settings
from control.controllers.horizontalpodautoscaler.tuning import Tuning
from control.controllers.run import Runner
from control.controllers.table import all_controllers
from control.mirror.mirror import Mirror
from control.publish.build import KINDS as PUBLISHED_KINDS
from control.publish.publisher import Publisher
from control.publish.unit import Config
from control.store.store import Store
from control.supervise.ports import first_port
from control.supervise.ready import ReadyPipe
from control.supervise.resolvers import upstreams

MEASURE_MIN_S = 1.0  # however fast cluster time is: a rate needs that long of the machine's, as in `profile.py`


def server_tls(pki: Path) -> ssl.SSLContext:
    """TLS of the API server: its own certificate, and client certificates of the cluster's authority welcome."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    tls.load_verify_locations(pki / "ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL  # a bearer token may come instead; anonymous gets 401 from the server
    return tls


class ControlPlane:
    """`await start()`, `await stop()`; raises StoreError (of the store's file) and OSError from `start`."""

    def __init__(
        self,
        settings: Settings,
        folders: Folders,
        api_socket: socket.socket,
        publish_socket: socket.socket,
        *,
        http_port: int,
        https_port: int,
        dns_port: int,
        ready: ReadyPipe,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._api_socket = api_socket
        self._publish_socket = publish_socket
        self._http_port = http_port
        self._https_port = https_port
        self._dns_port = dns_port
        self._ready = ready

    async def start(self) -> None:
        settings, folders = self._settings, self._folders
        addresses, delays = settings.addresses, settings.delays
        clock, _mark = folders.load_clock()
        self.store = Store.open(folders.store)
        self._ready.say("store")
        self.server = ApiServer(
            self.store,
            auth=Authenticator(signing_key=(folders.pki / "sa.key").read_bytes()),
            kubelet_socket=folders.node_socket,
            worker_sockets=[folders.worker_socket(index) for index in range(settings.workers)],
            metrics_resolution_s=clock.delay_s(clock.period_s(delays.metrics_resolution_s, MEASURE_MIN_S)),
            clock=clock.now,
            time_scale=clock.scale,
            service_cidr=addresses.service_cidr,
            dns=(addresses.dns_service_ip(), self._dns_port),
        )
        await self.server.start(addresses.host, 0, server_tls(folders.pki), sock=self._api_socket)
        self._ready.say("API server")
        client = self.server.client()
        controllers = all_controllers(
            ca_pem=(folders.pki / "ca.crt").read_text(),
            volumes_dir=str(folders.volumes),
            autoscaling=Tuning(sync_period_s=clock.period_s(delays.autoscaler_sync_s, MEASURE_MIN_S)),
        )
        kinds = {kind for controller in controllers for kind in controller.watches}
        self.mirror = Mirror(client, kinds.union(PUBLISHED_KINDS))
        self.runner = Runner(client, self.mirror, controllers, clock=clock)
        self.server.documents.statistics = self.runner.statistics
        config = Config(
            ingress_address=addresses.host,
            http_port=self._http_port,
            https_port=self._https_port,
            # the machine's 127.0.0.1 can serve one cluster's node ports; the others have their nodes' own addresses
            node_port_addresses=() if settings.slot else (addresses.host,),
            default_chain_pem=(folders.pki / "ingress.crt").read_text(),
            default_key_pem=(folders.pki / "ingress.key").read_text(),
            first_port=first_port(),
            dns_address=addresses.dns_service_ip(),
            dns_port=self._dns_port,
            dns_ttl_s=delays.dns_ttl_s,
            dns_upstreams=upstreams(addresses.dns_service_ip()),
            sync_delay_s=delays.proxy_sync_s,
            ingress_sync_delay_s=delays.ingress_sync_s,
        )
        self.publisher = Publisher(client, folders.publish_socket, config=config, mirror=self.mirror, cluster=clock)
        await self.publisher.start(self._publish_socket)
        self.mirror.start()
        self.runner.start()
        await self.mirror.synced.wait()
        self._ready.say("controllers")
        self._ready.say("publisher")

    async def wait(self) -> None:
        """Never returns: every part of it mends itself or logs."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """In reverse: nobody decides any more, then nobody is answered, then what was written is safe."""
        await self.publisher.close()
        await self.runner.close()
        await self.mirror.close()
        await self.server.stop()
        await self.store.close()

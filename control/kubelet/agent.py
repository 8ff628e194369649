"""The node process: all virtual nodes' kubelets in one.

Nothing is started before both sides are known: the mirror has listed the API's objects, and the supervisor has said
what runs. Then each pod of our nodes gets a runner whose record is rebuilt from its status and from the processes that
carry its uid; processes of pods that are gone get one, too, which only ends them. From there on news goes to runners
as it comes: changed pods, exits, verdicts. Exits that come while the books are being opened wait.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from control.api.kinds import (
    CONFIG_MAP,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SECRET,
    SERVICE,
    Kind,
)
from control.api.objects import Object, meta, name_of, namespace_of, spec_of, status_of, uid_of
from control.config.clock import REAL, Clock
from control.kubelet.clocked import in_cluster_time
from control.kubelet.heartbeat import Heartbeat, read_machine
from control.kubelet.hooks import Handlers
from control.kubelet.images.table import ImageTable, ImageTableError, Row, parse_rows
from control.kubelet.knobs import FAST, Knobs
from control.kubelet.measuring import Measuring
from control.kubelet.mounts import remove_leftovers
from control.kubelet.nodes import NodeIdentity
from control.kubelet.plan import FINISHED
from control.kubelet.process import ProcessHost, ProcessState
from control.kubelet.reclaimer import Reclaimer
from control.kubelet.record import adopt, ghost_of, new_record, restart_init
from control.kubelet.resolv import ClusterDns
from control.kubelet.runner import PodRunner
from control.kubelet.server import KubeletServer, NoLogs
from control.kubelet.simulated.agent import SimulatedAgent
from control.kubelet.ward import Network, Ward
from control.mirror.client import Client
from control.mirror.mirror import Mirror
from control.mirror.recorder import Recorder

logger = logging.getLogger(__name__)
NO_DNS = ClusterDns()
MIRRORED = (POD, SERVICE, CONFIG_MAP, SECRET, NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM)
IMAGES_MAP = ("kube-system", "loopkube-images")


class Agent:
    """`run` works until it is cancelled or `stop` is called; pods go on without it."""

    def __init__(
        self,
        client: Client,
        host: ProcessHost,
        *,
        nodes: Sequence[NodeIdentity],
        data_dir: Path,
        run_socket: Path | None,
        network: Network,
        simulated_cidr: str,
        simulated_nodes: Sequence[str] = (),
        images: ImageTable | None = None,
        knobs: Knobs = FAST,
        dns: ClusterDns = NO_DNS,
        clock: Clock = REAL,
        rng: random.Random | None = None,
    ) -> None:
        self.images = images or ImageTable()
        self.host = host = in_cluster_time(host, clock)
        self.mirror = Mirror(client, MIRRORED, on_change=self.on_change)
        recorders = {node.name: Recorder(client, "kubelet", host=node.name, clock=clock.now) for node in nodes}
        machine = read_machine(str(data_dir))
        self.ward = Ward(
            client=client,
            host=host,
            mirror=self.mirror,
            recorders=recorders,
            network=network,
            images=self.images,
            knobs=knobs,
            clock=clock,
            rng=rng or random.Random(),
            nodes={node.name: node for node in nodes},
            machine=machine,
            data_dir=str(data_dir),
            dns=dns,
            handlers=Handlers(host),
            start_limit=asyncio.Semaphore(knobs.starts_max),
            probe_limit=asyncio.Semaphore(knobs.probes_max),
            on_finished=self.on_finished,
        )
        self.reclaimer = Reclaimer(self.ward, str(data_dir / "volumes"))
        self.heartbeats = [Heartbeat(client, recorders[node.name], node, machine, knobs, clock) for node in nodes]
        self.simulated = SimulatedAgent(
            client, self.mirror, knobs, clock, taken=list(recorders), pod_cidr=simulated_cidr, make=simulated_nodes
        )
        self.runners: dict[str, PodRunner] = {}
        self.run_socket = run_socket
        self.measuring = Measuring()
        self.server = KubeletServer(self.find_pod, clock.machine, self.summaries)
        self.adopted = asyncio.Event()
        self.stopping = asyncio.Event()
        self.early_exits: list[ProcessState] = []

    def __repr__(self) -> str:
        return f"<Agent {len(self.ward.nodes)} nodes, {len(self.runners)} pods, {self.mirror!r}>"

    def statistics(self) -> dict[str, Any]:
        """Counts for people and tests."""
        return {
            "pods": len(self.runners),
            "simulatedPods": len(self.simulated.actors),
            "statusWrites": sum(runner.writer.writes for runner in self.runners.values()) + self.simulated.writes,
            "eventsDropped": sum(recorder.dropped for recorder in self.ward.recorders.values()),
        }

    async def run(self) -> None:
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self.follow_exits())]
        tasks += [asyncio.ensure_future(heartbeat.run()) for heartbeat in self.heartbeats]
        if self.run_socket is not None:
            await self.server.start(self.run_socket)
        tasks.append(asyncio.ensure_future(self.simulated.run()))
        self.mirror.start()
        stopped = asyncio.ensure_future(self.stopping.wait())
        tasks += [asyncio.ensure_future(self.open_books()), stopped]
        try:
            await asyncio.wait([stopped, tasks[0]], return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()  # the supervisor is gone: raises ConnectionError
        finally:
            await self.shut(tasks)

    async def shut(self, tasks: list[asyncio.Future[Any]]) -> None:
        for runner in self.runners.values():
            runner.close()
        everything = [*tasks, *self.ward.tasks]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        await asyncio.gather(*(recorder.close() for recorder in self.ward.recorders.values()))
        await self.mirror.close()
        await self.server.stop()

    async def stop(self) -> None:
        self.stopping.set()

    async def follow_exits(self) -> None:
        async for state in self.host.exits():
            if self.ward.knobs.pleg_delay_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self.ward.knobs.pleg_delay_s, self.on_exit, state)
            else:
                self.on_exit(state)
        raise ConnectionError("the supervisor's exits have ended")

    def on_exit(self, state: ProcessState) -> None:
        if not self.adopted.is_set():
            self.early_exits.append(state)
            return
        runner = self.runners.get(state.labels.get("uid", ""))
        if runner is not None:
            runner.on_exit(state)

    # opening the books

    async def open_books(self) -> None:
        while True:
            await self.mirror.synced.wait()
            try:
                found = await self.host.processes()
                break
            except ConnectionError as error:
                logger.warning("asking for processes: %s", error)
                await asyncio.sleep(self.ward.knobs.reconnect_s)
        self.load_images()
        processes: dict[str, list[ProcessState]] = {}
        for state in found:
            processes.setdefault(state.labels.get("uid", ""), []).append(state)
        processes.pop("", None)
        pods = [pod for node in self.ward.nodes for pod in self.ward.world.by_field(POD, "spec.nodeName", node)]
        fresh = [self.make_runner(pod, processes.pop(uid_of(pod), [])) for pod in pods]
        fresh += [self.make_runner(ghost_of(states), states, removed=True) for states in processes.values()]
        remove_leftovers(self.ward.data_dir, set(self.runners))
        self.adopted.set()
        for state in self.early_exits:
            self.on_exit(state)
        self.early_exits.clear()
        for runner in fresh:
            runner.sync()
        self.reclaimer.look_at_all()

    def make_runner(self, pod: Object, processes: list[ProcessState], *, removed: bool = False) -> PodRunner:
        record = new_record(pod, self.ward.now())
        record.removed = removed
        for state in sorted(processes, key=lambda state: int(state.labels.get("attempt") or 0)):
            container = record.containers.get(state.labels.get("container", ""))
            if container is not None:
                adopt(container, state)
                record.pod_ip = state.labels.get("pod-ip") or record.pod_ip
                record.initialized = record.initialized or container.kind == "app"
        node = str(spec_of(pod).get("nodeName") or "")
        if record.pod_ip and not self.ward.network.claim(node, record.uid, record.pod_ip):
            record.pod_ip = ""
        if processes:
            record.sandbox = "ready"
        elif status_of(pod).get("phase") not in FINISHED:
            restart_init(record)
        runner = self.runners[record.uid] = PodRunner(self.ward, pod, record)
        return runner

    # news

    def on_change(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if not self.adopted.is_set():
            return
        if kind is POD:
            self.on_pod(old, new)
        elif kind in (CONFIG_MAP, SECRET):
            about = new or old or {}
            if kind is CONFIG_MAP and (namespace_of(about), name_of(about)) == IMAGES_MAP:
                self.load_images()
                for runner in list(self.runners.values()):
                    runner.images_changed()
            if new is not None:
                for runner in list(self.runners.values()):
                    if runner.record.namespace == namespace_of(new):
                        runner.config_changed(kind, name_of(new))
        elif kind in (PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM) and new is not None:
            self.on_storage(kind, new)

    def on_storage(self, kind: Kind, new: Object) -> None:
        """A claim or a volume came or changed: pods that wait for it look again; directories may be left over."""
        if kind is PERSISTENT_VOLUME:
            self.reclaimer.look(new)
        claim = (spec_of(new).get("claimRef") or {}) if kind is PERSISTENT_VOLUME else meta(new)
        for runner in list(self.runners.values()):
            if runner.record.sandbox == "failed" and runner.record.namespace == claim.get("namespace"):
                runner.config_changed(kind, str(claim.get("name")))

    def on_pod(self, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or uid_of(old) != uid_of(new)):
            gone = self.runners.get(uid_of(old))
            if gone is not None:
                gone.pod = old if new is None else gone.pod
                gone.remove()
        if new is None:
            return
        runner = self.runners.get(uid_of(new))
        if runner is not None:
            runner.update(new)
        elif spec_of(new).get("nodeName") in self.ward.nodes:
            self.make_runner(new, []).sync()

    def on_finished(self, uid: str) -> None:
        self.runners.pop(uid, None)

    def load_images(self) -> None:
        """The rows of the ConfigMap kube-system/loopkube-images come first; a bad row spoils only its key."""
        found = self.ward.world.get(CONFIG_MAP, *IMAGES_MAP)
        rows: list[Row] = []
        if found is not None:
            import yaml  # 3 MB and 20 ms, for those who have such a map
        for key, text in sorted(((found or {}).get("data") or {}).items()):
            source = f"ConfigMap {'/'.join(IMAGES_MAP)}, key {key}"
            try:
                rows += parse_rows(yaml.safe_load(text), source)
            except (ImageTableError, yaml.YAMLError) as error:
                logger.warning("%s", error)
                self.ward.say_config(found or {}, "InvalidImageTable", str(error))
        self.ward.images = self.images.with_rows(rows)

    def find_pod(self, namespace: str, name: str) -> PodRunner | None:
        """The newest pod of that name, for the kubelet's HTTP API; raises NoLogs for one that can have none."""
        if self.simulated.find(namespace, name) is not None:
            raise NoLogs(f'pod "{name}" is simulated: it has no process and writes no logs')
        named = [r for r in self.runners.values() if r.record.namespace == namespace and r.record.name == name]
        return max(named, key=lambda runner: (not runner.record.removed, runner.record.started_at), default=None)

    def summaries(self) -> list[Object]:
        """What the nodes' pods use now, for the kubelet's HTTP API."""
        pods = [(runner.pod, runner.record) for runner in self.runners.values() if not runner.record.removed]
        pods += [(actor.pod, actor.record) for actor in self.simulated.actors.values() if actor.stage.says_usage]
        nodes = [*self.ward.nodes, *self.simulated.pulse.nodes]
        return self.measuring.summaries(pods, nodes, self.ward.now())


def load_image_file(path: Path) -> ImageTable:
    """The shipped table with the rows of a user's YAML or JSON file in front; raises ImageTableError, OSError."""
    import yaml

    text = path.read_text()
    try:
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ImageTableError(f"{path}: {error}") from None
    return ImageTable().with_rows(parse_rows(document, str(path)))

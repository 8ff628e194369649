"""What `loopkube status -o json` says of a cluster: a document that people script against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.config.folders import Folders
from control.config.settings import Settings
from control.supervise.memory import memory_of

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Process:
    """One of loopkube's own processes; pid 0 while it is being started again."""

    role: str  # supervisor, control, node, dataplane, warden
    name: str
    pid: int
    restarts: int = 0
    ready: bool = True


def describe(
    settings: Settings, folders: Folders, ports: Mapping[str, int], uptime_s: float, processes: Sequence[Process]
) -> dict[str, Any]:
    """The whole document; `ports` by purpose: api, http, https, dns."""
    host = settings.addresses.host
    return {
        "name": settings.name,
        "version": VERSION,
        "network": settings.network,
        "networkReason": settings.network_reason,
        "profile": settings.profile,
        "timeScale": settings.time_scale,
        "apiServer": f"https://{host}:{ports['api']}",
        "kubeconfig": str(folders.kubeconfig),
        "ingress": {"http": f"http://{host}:{ports['http']}", "https": f"https://{host}:{ports['https']}"},
        "dns": f"{settings.addresses.dns_service_ip()}:{ports['dns']}",
        "serviceCIDR": settings.addresses.service_cidr,
        "podCIDR": settings.addresses.pod_cidr,
        "dataDir": str(folders.data),
        "uptimeSeconds": round(uptime_s, 3),
        "processes": [_process(process) for process in processes],
    }


def _process(process: Process) -> dict[str, Any]:
    resident, proportional = memory_of(process.pid)
    return {
        "role": process.role,
        "name": process.name,
        "pid": process.pid,
        "restarts": process.restarts,
        "ready": process.ready,
        "rssBytes": resident,
        "pssBytes": proportional,
    }

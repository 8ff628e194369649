"""Which address ranges a cluster has: slots, held by abstract unix sockets.

All clusters of a machine share one loopback network, so each needs pod, Service and node addresses of its own. A slot
is held by an abstract unix socket (unix(7)): it belongs to the network namespace, as the addresses do, and it is gone
with its process whatever killed it. A cluster takes the first free slot at its first start and keeps it in its
folder, because the addresses of its Services lie in it.
"""

from __future__ import annotations

import dataclasses
import socket

from control.config.settings import SLOTS, Settings, SettingsError


def hold(settings: Settings) -> tuple[Settings, socket.socket]:
    """The settings with their slot, and the socket to keep open while the cluster runs; raises SettingsError."""
    wanted = range(SLOTS) if settings.slot is None else (settings.slot,)
    for slot in wanted:
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0loopkube-slot-{slot}")
        except OSError:
            holder.close()
            continue
        return dataclasses.replace(settings, slot=slot), holder
    if settings.slot is None:
        raise SettingsError(f"{SLOTS} clusters are up on this machine already: end one with `loopkube down --name ...`")
    raise SettingsError(
        f"another cluster that is up has this one's addresses ({settings.addresses.service_cidr}): end it first, "
        "or start this one anew with another --data-dir"
    )

"""Where a cluster's files lie, and whether this loopkube may use them.

State lives under `$XDG_STATE_HOME/loopkube/<name>` (default `~/.local/state`): the store, certificates, kubeconfig,
pods' folders and logs. Sockets lie in a `run` folder beside them, or, where that path would not fit into the 107
bytes of a unix socket's name, in a private folder of the temporary directory. `cluster.json` carries the format
version and the settings of the last `up`; a newer version is refused before anything is touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from control.config.clock import REAL, Clock
from control.config.settings import Settings, SettingsError

FORMAT = 1
SOCKET_PATH_MAX = 107 - len("/supervisor.sock")  # sockaddr_un.sun_path less the longest name


def state_home() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "loopkube"


@dataclass(frozen=True, slots=True)
class Folders:
    """A cluster's places. `create` makes them with mode 0700."""

    data: Path

    @classmethod
    def of(cls, name: str, data_dir: str | None = None) -> Folders:
        return cls(Path(data_dir).resolve() if data_dir else state_home() / name)

    @property
    def run(self) -> Path:
        beside = self.data / "run"
        if len(os.fsencode(beside)) <= SOCKET_PATH_MAX:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"loopkube-{os.getuid()}-{digest}"

    @property
    def cluster_file(self) -> Path:
        return self.data / "cluster.json"

    @property
    def clock_file(self) -> Path:
        return self.data / "clock.json"

    @property
    def store(self) -> Path:
        return self.data / "store.db"

    @property
    def volumes(self) -> Path:
        """The directories of provisioned volumes."""
        return self.data / "volumes"

    @property
    def pki(self) -> Path:
        return self.data / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.data / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def publish_socket(self) -> Path:
        return self.run / "publish.sock"

    @property
    def node_socket(self) -> Path:
        return self.run / "node.sock"

    def worker_socket(self, index: int) -> Path:
        return self.run / f"worker-{index}.sock"

    def create(self) -> None:
        """Makes the folders; raises SettingsError when one cannot be made or belongs to someone else."""
        for folder in (self.data, self.run, self.logs, self.pki):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder.stat().st_uid != os.getuid():
                    raise SettingsError(f"{folder} belongs to another user: choose another --data-dir")
                folder.chmod(0o700)
            except OSError as error:
                raise SettingsError(f"cannot use {folder}: {error.strerror}: choose another --data-dir") from error

    def lock(self, name: str) -> int:
        """A descriptor that holds the cluster's lock until it is closed; raises SettingsError when another has it."""
        fd = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise SettingsError(
                f"cluster {name!r} is up already: see `loopkube status`, end it with `loopkube down`, "
                "or start another one with --name"
            ) from None
        return fd

    def save(self, settings: Settings) -> None:
        _write(self.cluster_file, {"format": FORMAT, "settings": settings.to_json()})

    def save_clock(self, clock: Clock, mark: float) -> None:
        """A clock that is the machine's leaves no file. `mark`: see clock.py."""
        if clock.is_machine_time:
            self.clock_file.unlink(missing_ok=True)
        else:
            _write(self.clock_file, {**clock.to_json(), "mark": mark})

    def load_clock(self) -> tuple[Clock, float]:
        """The cluster's clock and the newest mark; raises SettingsError for a damaged file."""
        try:
            value = json.loads(self.clock_file.read_text())
            return Clock.from_json(value), float(value["mark"])
        except FileNotFoundError:
            return REAL, 0.0
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self.clock_file} is damaged ({error}): remove it, and cluster time begins at the machine's again"
            ) from error

    def load(self) -> Settings | None:
        """The settings of the last `up`; None for a new folder. Raises SettingsError for a newer or damaged one."""
        try:
            value = json.loads(self.cluster_file.read_text())
            version = int(value["format"])
            settings = value["settings"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self.cluster_file} is damaged ({error}): mend it, or start over with `loopkube down --purge`"
            ) from error
        if version > FORMAT:
            raise SettingsError(
                f"{self.data} was written by a newer loopkube (format {version}, this one knows {FORMAT}): "
                "upgrade loopkube or choose another --data-dir"
            )
        return Settings.from_json(settings)


def _write(file: Path, value: object) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(value, indent=1))
    beside.replace(file)

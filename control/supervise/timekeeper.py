"""Sets a cluster's clock at its start, and sees to it that the next start finds out how far it got.

The clock is a file that control and node read when they begin, and begin again; marks are written ahead of time (see
`control.config.clock`), so that cluster time never comes twice, whatever ends the supervisor. A cluster in machine time
has neither file nor marks.
"""

from __future__ import annotations

import asyncio
import logging

from control.config.clock import MARK_EVERY_S, Clock, started
from control.config.folders import Folders
from control.config.settings import Settings

log = logging.getLogger(__name__)


class Timekeeper:
    """Made before the parts are started; `begin` in the loop, `end` when nobody writes any more."""

    def __init__(self, settings: Settings, folders: Folders) -> None:
        self._folders = folders
        _before, mark = folders.load_clock()
        self.clock: Clock = started(settings.time_scale, mark)
        self._timer: asyncio.TimerHandle | None = None
        folders.save_clock(self.clock, self.clock.mark())

    def begin(self) -> None:
        if not self.clock.is_machine_time:
            self._mark()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._folders.save_clock(self.clock, self.clock.mark(0.0))

    def _mark(self) -> None:
        try:
            self._folders.save_clock(self.clock, self.clock.mark())
        except OSError as error:  # a full disk: the cluster goes on, its next start may repeat some time
            log.warning("cluster time cannot be marked: %s", error)
        self._timer = asyncio.get_running_loop().call_later(MARK_EVERY_S, self._mark)

"""pause: does nothing, cheaply, until told to stop; the image of pods that only need to exist.

No event loop and no imports beyond the interpreter's own: a pause pod must cost as little as a Python process can.
"""

from __future__ import annotations

import signal
import sys


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    sys.exit(main())

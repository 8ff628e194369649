"""Load shapes against an Ingress: `locust -f bench/locust/locustfile.py --host http://127.0.0.1:8080`.

Two kinds of users tell what an endpoint's end costs them apart: `Reused` keeps its connection as browsers and pools
do, `New` opens one for each request as scripts do. `--shape` chooses how many users when: steady (locust's own -u and
-r), stairs or spikes.
"""

from __future__ import annotations

from typing import Any

from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task

STEP_S = 30
STEP_USERS = 20
STEPS = 6
SPIKE_EVERY_S = 60
SPIKE_S = 10
SPIKE_USERS = 200
CALM_USERS = 20


@events.init_command_line_parser.add_listener
def _(parser: Any) -> None:
    parser.add_argument("--ingress-host", default="echo.local", help="Host header: which Ingress rule is meant")
    parser.add_argument("--path", default="/", help="path to ask for")
    parser.add_argument("--shape", choices=["steady", "stairs", "spikes"], default="steady")


class _User(FastHttpUser):  # type: ignore[misc]
    abstract = True
    wait_time = constant_throughput(10)  # requests a second for each user
    extra: dict[str, str] = {}  # noqa: RUF012 - locust's way to configure a class

    @task
    def get(self) -> None:
        options = self.environment.parsed_options
        headers = {"Host": options.ingress_host, **self.extra}
        with self.client.get(options.path, headers=headers, name=type(self).__name__, catch_response=True) as response:
            if response.status_code >= 500:
                response.failure(f"HTTP {response.status_code}")


class Reused(_User):
    """Keeps its connection."""


class New(_User):
    """A connection for each request."""

    extra = {"Connection": "close"}  # noqa: RUF012


class Shape(LoadTestShape):  # type: ignore[misc]
    """Users over time as `--shape` says; None ends the run. Steady leaves it to -u and -r."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        now = self.get_run_time()
        if options.run_time and now >= options.run_time:  # locust itself does not look at -t when there is a shape
            return None
        if options.shape == "stairs":
            step = int(now // STEP_S)
            return ((step + 1) * STEP_USERS, float(STEP_USERS)) if step < STEPS else None
        if options.shape == "spikes":
            spiking = now % SPIKE_EVERY_S >= SPIKE_EVERY_S - SPIKE_S
            users = SPIKE_USERS if spiking else CALM_USERS
            return (users, float(users)) if now < 5 * SPIKE_EVERY_S else None
        users = options.num_users or CALM_USERS
        return users, float(options.spawn_rate or users)

"""What the node is told by a profile and by --images."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.config.clock import Clock
from control.config.settings import Settings, SettingsError
from control.kubelet.images.table import Launch
from control.supervise.node_plane import images_of, knobs_of


def test_a_profile_sets_the_delays_that_it_names() -> None:
    fast = knobs_of(Settings("a", "/d"))
    realistic = knobs_of(Settings("a", "/d", profile="realistic"))
    assert (fast.pleg_delay_s, realistic.pleg_delay_s) == (0.0, 1.0)
    assert (fast.status_delay_s, realistic.status_delay_s) == (0.0, 0.0)


def test_what_a_machine_cannot_do_faster_is_longer_in_cluster_time() -> None:
    real, fast = knobs_of(Settings("a", "/d")), knobs_of(Settings("a", "/d"), Clock(600.0))
    assert (real.grace_min_s, real.probe_eager_s, real.lease_renew_s, real.lease_duration_s) == (2.0, 0.05, 10.0, 40)
    assert (fast.grace_min_s, fast.probe_eager_s, fast.lease_renew_s, fast.lease_duration_s) == (1200, 30, 600, 2400)
    assert fast.probe_period_min_s == 30.0
    assert (fast.backoff_base_s, fast.backoff_max_s) == (real.backoff_base_s, real.backoff_max_s)


def test_image_rows_of_a_file_come_before_the_shipped_ones(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text("images:\n- pattern: my/app\n  entrypoint: [/usr/bin/env]\n")
    launch = images_of(str(file)).resolve("my/app:1", (), ())
    assert isinstance(launch, Launch)
    assert launch.argv == ("/usr/bin/env",)


@pytest.mark.parametrize("text", ["images: 7", "[", "- {}"])
def test_a_bad_image_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"--images: .*images\.yaml"):
        images_of(str(file))

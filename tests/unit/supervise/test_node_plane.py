"""What the node is told by a profile and by --images."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.config.settings import Settings, SettingsError
from control.kubelet.images.table import Launch
from control.supervise.node_plane import images_of, knobs_of


def test_a_profile_sets_the_delays_that_it_names() -> None:
    fast = knobs_of(Settings("a", "/d"))
    realistic = knobs_of(Settings("a", "/d", profile="realistic"))
    assert (fast.pleg_delay_s, realistic.pleg_delay_s) == (0.0, 1.0)
    assert (fast.status_delay_s, realistic.status_delay_s) == (0.0, 0.0)


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

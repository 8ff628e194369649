"""From images to programs."""

from __future__ import annotations

import pytest

from control.kubelet.images.table import (
    ErrImagePull,
    ImageTable,
    ImageTableError,
    Launch,
    parse_rows,
    repository_of,
    tag_of,
)

TABLE = ImageTable(python="/py")
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


def argv(image: str, command: tuple[str, ...] = (), args: tuple[str, ...] = (), table: ImageTable = TABLE) -> list[str]:
    found = table.resolve(image, command, args)
    assert isinstance(found, Launch), found
    return [word.removeprefix("control.kubelet.images.") for word in found.argv]


@pytest.mark.parametrize(
    ("image", "repository", "tag"),
    [
        ("nginx", "nginx", "latest"),
        ("docker.io/library/nginx:1.25", "nginx", "1.25"),
        ("localhost:5000/shop", "localhost:5000/shop", "latest"),
        ("localhost:5000/shop:v2@sha256:abc", "localhost:5000/shop", "v2"),
    ],
)
def test_references(image: str, repository: str, tag: str) -> None:
    assert (repository_of(image), tag_of(image)) == (repository, tag)


def test_entrypoint_and_cmd_as_docker_has_them() -> None:
    assert argv(AGNHOST) == ["/py", "-m", "agnhost", "pause"]
    assert argv(AGNHOST, args=("netexec", "--http-port=80")) == ["/py", "-m", "agnhost", "netexec", "--http-port=80"]
    assert argv("loopkube/echo:v1") == ["/py", "-m", "echo"]
    assert argv("nginx:1.25", args=("-g", "daemon off;")) == ["/py", "-m", "web", "nginx", "-g", "daemon off;"]


def test_a_command_runs_on_the_host_unless_it_is_the_image_s_own_entrypoint() -> None:
    assert argv("busybox", ("sh", "-c"), ("echo {python}",)) == ["sh", "-c", "echo {python}"]
    assert argv("whatever:1", ("/bin/true",)) == ["/bin/true"]
    assert argv(AGNHOST, ("/agnhost", "netexec"), ("--udp-port=1",)) == [
        "/py",
        "-m",
        "agnhost",
        "netexec",
        "--udp-port=1",
    ]
    assert argv("my/mirror-of-agnhost", ("/agnhost", "pause")) == ["/py", "-m", "agnhost", "pause"]
    assert argv("python:3.12", ("python3", "-m", "http.server")) == ["/py", "-m", "http.server"]
    assert argv("busybox", ("nginx",)) == ["nginx"], "only nginx' image means the row's nginx"


def test_an_unknown_image_says_how_to_add_it() -> None:
    found = TABLE.resolve("example.com/shop:1", (), ("--x",))
    assert isinstance(found, ErrImagePull)
    for part in ('"example.com/shop"', "--images FILE", "kube-system/loopkube-images", "pattern: example.com/shop"):
        assert part in found.message


def test_image_ids_differ_with_the_tag_and_stop_signals_come_with_the_image() -> None:
    ids = {TABLE.resolve(f"loopkube/echo:v{n}", (), ()).image_id for n in (1, 2)}  # type: ignore[union-attr]
    assert len(ids) == 2
    assert TABLE.resolve("nginx", (), ()).stop_signal == "SIGQUIT"  # type: ignore[union-attr]


def test_user_rows_come_first() -> None:
    rows = parse_rows(
        {
            "images": [
                {"pattern": "nginx", "entrypoint": ["/opt/my nginx"], "env": {"V": "{tag}"}, "stopSignal": "SIGINT"}
            ]
        },
        "f",
    )
    found = TABLE.with_rows(rows).resolve("nginx:9", (), ("-x",))
    assert isinstance(found, Launch)
    assert (found.argv, found.env, found.stop_signal) == (("/opt/my nginx", "-x"), {"V": "9"}, "SIGINT")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("x", "f: expected a list of rows"),
        ([{"entrypoint": ["x"]}], "f: row 1: pattern"),
        ([{"pattern": "a", "entrypoint": ["x"]}, {"pattern": "a"}], "f: row 2: needs an entrypoint"),
        ([{"pattern": "a", "entrypoint": "x"}], "entrypoint must be a list"),
        ([{"pattern": "a", "entrypont": ["x"]}], "unknown field 'entrypont'"),
        ([{"pattern": "a", "cmd": ["x"], "env": {"A": 1}}], "env must map"),
        ([{"pattern": "a", "cmd": ["x"], "stopSignal": "TERM"}], "stopSignal must be one of"),
    ],
)
def test_bad_rows_are_named(document: object, words: str) -> None:
    with pytest.raises(ImageTableError, match=words):
        parse_rows(document, "f")

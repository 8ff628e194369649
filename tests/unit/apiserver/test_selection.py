"""A watch with a selector keeps its client's copy equal to a list with the same selector."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.api.kinds import CONFIG_MAP
from control.api.objects import Key
from control.api.rows import RESOURCES
from control.apiserver.options import ListOptions
from control.apiserver.selection import selection, transition
from control.apiserver.streams import Watching
from tests.fakes.cluster import cluster, config_map


@pytest.mark.parametrize(
    ("type_", "now", "before", "expected"),
    [
        ("ADDED", True, False, "ADDED"),
        ("ADDED", False, False, ""),
        ("MODIFIED", True, True, "MODIFIED"),
        ("MODIFIED", True, False, "ADDED"),
        ("MODIFIED", False, True, "DELETED"),
        ("MODIFIED", False, False, ""),
        ("DELETED", False, True, "DELETED"),
        ("DELETED", False, False, ""),
    ],
)
def test_transitions(type_: str, now: bool, before: bool, expected: str) -> None:
    assert transition(type_, now, before) == expected


def test_names_are_asked_without_decoding() -> None:
    class Undecodable:
        key = Key("default", "a")

        @property
        def labels(self) -> dict[str, str]:
            return {}

        @property
        def obj(self) -> None:
            raise AssertionError("decoded")

    chosen = selection(RESOURCES[CONFIG_MAP], "!x", "metadata.name=a,metadata.namespace!=other")
    assert chosen(Undecodable())  # type: ignore[arg-type]
    assert chosen.name == "a"


STEP = st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "gone"]))


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, max_size=12), st.sampled_from(["app=x", "app!=x", "app in (x,y)", "!none"]))
async def test_following_a_selection_is_listing_it(steps: list[tuple[str, str]], selector: str) -> None:
    async with cluster() as api:
        resource = RESOURCES[CONFIG_MAP]
        options = ListOptions(selector, resource_version=str(api.store.revision))
        watching = Watching(api.server.context, resource, "default", options, forever=True)
        for name, app in steps:
            exists = api.store.get("configmaps", "default", name) is not None
            if app == "gone":
                if exists:
                    await api.local.delete(CONFIG_MAP, "default", name)
            elif exists:
                await api.local.patch(CONFIG_MAP, "default", name, {"metadata": {"labels": {"app": app}}})
            else:
                body = config_map(name, {"app": app})
                body["metadata"]["namespace"] = "default"
                await api.local.create(CONFIG_MAP, body)
        body = config_map("zz", {"app": "x"} if "!=" not in selector else {})
        body["metadata"]["namespace"] = "default"
        await api.local.create(CONFIG_MAP, body)
        copy: dict[str, object] = {}
        async for turn in watching.turns():
            for seen in turn:
                assert seen.stored is not None
                name = seen.stored.key.name
                assert (name in copy) == (seen.type != "ADDED")
                if seen.type == "DELETED":
                    del copy[name]
                else:
                    copy[name] = seen.stored.obj
            if "zz" in copy:
                watching.close()
        listed = (await api.local.list(CONFIG_MAP, "default", label_selector=selector)).items
        assert copy == {item["metadata"]["name"]: item for item in listed}

"""Create, update, patch and apply through the handlers, on a real store."""

from __future__ import annotations

import asyncio

import pytest

from control.api.kinds import CONFIG_MAP
from tests.fakes.cluster import APPLY, APPS, CORE, JSON_PATCH, STRATEGIC, cluster, config_map, deployment

MAPS = f"{CORE}/configmaps"


async def test_a_create_fills_in_what_the_server_knows() -> None:
    async with cluster() as api:
        reply = await api.post(MAPS, config_map("a", k="v"))
        assert reply.status == 201
        metadata = reply.body["metadata"]
        assert metadata["namespace"] == "default"
        assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"
        assert len(metadata["uid"]) == 36
        assert metadata["resourceVersion"] == str(api.store.revision)
        [entry] = metadata["managedFields"]
        assert (entry["manager"], entry["operation"]) == ("tests", "Update")
        assert entry["fieldsV1"]["f:data"]["f:k"] == {}
        assert (await api.get(f"{MAPS}/a")).body == reply.body


async def test_a_name_is_taken_once() -> None:
    async with cluster() as api:
        await api.post(MAPS, config_map("a"))
        reply = await api.post(MAPS, config_map("a"))
        assert (reply.status, reply.reason) == (409, "AlreadyExists")
        assert reply.message == 'configmaps "a" already exists'


async def test_two_creates_at_once_have_one_winner() -> None:
    async with cluster() as api:
        replies = await asyncio.gather(*[api.post(MAPS, config_map("a", by=str(i))) for i in range(5)])
        assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]


async def test_generated_names_are_made_until_one_is_free() -> None:
    async with cluster() as api:
        body = {"metadata": {"generateName": "a-"}, "data": {}}
        names = {(await api.post(MAPS, body)).body["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20
        assert all(name.startswith("a-") and len(name) == 7 for name in names)


async def test_a_generated_name_that_collides_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster() as api:
        suffixes = iter(["bbbbb", "bbbbb", "ccccc"])
        monkeypatch.setattr(api.server.context, "new_suffix", lambda: next(suffixes))
        body = {"metadata": {"generateName": "a-"}}
        assert (await api.post(MAPS, body)).body["metadata"]["name"] == "a-bbbbb"
        assert (await api.post(MAPS, body)).body["metadata"]["name"] == "a-ccccc"


async def test_a_create_without_a_name_is_invalid() -> None:
    async with cluster() as api:
        reply = await api.post(MAPS, {"metadata": {}})
        assert reply.status == 422
        assert "name or generateName is required" in reply.message


async def test_a_create_may_not_carry_a_version_or_another_namespace() -> None:
    async with cluster() as api:
        body = config_map("a")
        body["metadata"]["resourceVersion"] = "5"
        reply = await api.post(MAPS, body)
        assert reply.message == "resourceVersion should not be set on objects to be created"
        body = config_map("a")
        body["metadata"]["namespace"] = "other"
        reply = await api.post(MAPS, body)
        assert (reply.status, reply.reason) == (400, "BadRequest")
        assert "does not match the namespace sent on the request" in reply.message


async def test_a_dry_run_answers_as_if_and_stores_nothing() -> None:
    async with cluster() as api:
        before = api.store.revision
        reply = await api.post(f"{MAPS}?dryRun=All", config_map("a"))
        assert (reply.status, reply.body["metadata"]["name"]) == (201, "a")
        assert (await api.get(f"{MAPS}/a")).status == 404
        assert api.store.revision == before
        assert (await api.post(f"{MAPS}?dryRun=Some", config_map("a"))).message == (
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"'
        )


UNKNOWN = b'{"metadata":{"name":"a"},"data":{"k":"v"},"spec":{"x":1},"data":{"k":"w"}}'


async def test_unknown_and_repeated_fields_are_an_error_a_warning_or_nothing() -> None:
    async with cluster() as api:
        reply = await api.post(f"{MAPS}?fieldValidation=Strict", UNKNOWN)
        assert reply.status == 400
        assert reply.message == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
            'unknown field "spec", duplicate field "data"'
        )
        reply = await api.post(f"{MAPS}?fieldValidation=Warn&dryRun=All", UNKNOWN)
        assert reply.answer.warnings[:2] == ('unknown field "spec"', 'duplicate field "data"')
        reply = await api.post(f"{MAPS}?fieldValidation=Ignore", UNKNOWN)
        assert (reply.status, reply.answer.warnings) == (201, ())
        assert "spec" not in reply.body
        assert reply.body["data"] == {"k": "w"}


async def test_a_put_replaces_with_the_version_as_precondition() -> None:
    async with cluster() as api:
        first = (await api.post(MAPS, config_map("a", k="1"))).body
        second = (await api.put(f"{MAPS}/a", {**first, "data": {"k": "2"}})).body
        assert second["data"] == {"k": "2"}
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
        reply = await api.put(f"{MAPS}/a", {**first, "data": {"k": "3"}})
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert reply.message == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )


async def test_a_put_without_a_version_is_unconditional_even_in_a_race() -> None:
    async with cluster() as api:
        await api.post(MAPS, config_map("a"))
        replies = await asyncio.gather(*[api.put(f"{MAPS}/a", config_map("a", by=str(i))) for i in range(4)])
        assert [reply.status for reply in replies] == [200] * 4


async def test_a_put_that_changes_nothing_is_not_written() -> None:
    async with cluster() as api:
        first = (await api.post(MAPS, config_map("a", k="1"))).body
        before = api.store.revision
        reply = await api.put(f"{MAPS}/a", first)
        assert reply.body == first
        assert (await api.put(f"{MAPS}/a", config_map("a", k="1"))).body == first
        assert api.store.revision == before


async def test_a_put_for_another_uid_or_name_is_refused() -> None:
    async with cluster() as api:
        first = (await api.post(MAPS, config_map("a"))).body
        other = {**first, "metadata": {**first["metadata"], "uid": "else"}}
        reply = await api.put(f"{MAPS}/a", other)
        assert reply.status == 409
        assert "Precondition failed: UID in precondition: else, UID in object meta: " in reply.message
        reply = await api.put(f"{MAPS}/b", first)
        assert reply.status == 404
        await api.post(MAPS, config_map("b"))
        reply = await api.put(f"{MAPS}/b", config_map("a"))
        assert reply.message == "the name of the object (a) does not match the name on the URL (b)"


async def test_a_put_creates_only_where_the_kind_allows_it() -> None:
    async with cluster() as api:
        assert (await api.put(f"{MAPS}/a", config_map("a"))).status == 404
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        reply = await api.put(f"{leases}/l", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
        assert reply.status == 201


async def test_patches_of_three_kinds() -> None:
    async with cluster() as api:
        await api.post(f"{APPS}/deployments", deployment())
        url = f"{APPS}/deployments/web"
        reply = await api.patch(url, {"spec": {"replicas": 4}})
        assert (reply.status, reply.body["spec"]["replicas"], reply.body["metadata"]["generation"]) == (200, 4, 2)
        container = {"name": "c", "image": "nginx:2"}
        body = {"spec": {"template": {"spec": {"containers": [container, {"name": "d", "image": "busybox"}]}}}}
        reply = await api.patch(url, body, STRATEGIC)
        images = [one["image"] for one in reply.body["spec"]["template"]["spec"]["containers"]]
        assert sorted(images) == ["busybox", "nginx:2"]
        reply = await api.patch(url, [{"op": "test", "path": "/spec/replicas", "value": 5}], JSON_PATCH)
        assert (reply.status, reply.reason) == (422, "Invalid")
        reply = await api.patch(url, [{"op": "replace", "path": "/spec/replicas", "value": 6}], JSON_PATCH)
        assert reply.body["spec"]["replicas"] == 6


async def test_a_patch_is_repeated_when_somebody_was_faster() -> None:
    async with cluster() as api:
        await api.post(MAPS, config_map("a"))
        replies = await asyncio.gather(*[api.patch(f"{MAPS}/a", {"data": {f"k{i}": "v"}}) for i in range(4)])
        assert [reply.status for reply in replies] == [200] * 4
        assert set((await api.get(f"{MAPS}/a")).body["data"]) == {"k0", "k1", "k2", "k3"}


async def test_a_patch_with_a_stale_version_is_a_conflict() -> None:
    async with cluster() as api:
        first = (await api.post(MAPS, config_map("a"))).body
        stale = first["metadata"]["resourceVersion"]
        await api.patch(f"{MAPS}/a", {"data": {"k": "1"}})
        reply = await api.patch(f"{MAPS}/a", {"metadata": {"resourceVersion": stale}, "data": {"k": "2"}})
        assert (reply.status, reply.reason) == (409, "Conflict")


async def test_a_strict_patch_names_what_it_does_not_know() -> None:
    async with cluster() as api:
        await api.post(f"{APPS}/deployments", deployment())
        reply = await api.patch(f"{APPS}/deployments/web?fieldValidation=Strict", {"spec": {"foo": 1}})
        assert reply.status == 422
        assert reply.message.endswith('strict decoding error: unknown field "spec.foo"')
        reply = await api.patch(f"{APPS}/deployments/web", {"spec": {"foo": 1}})
        assert reply.answer.warnings == ('unknown field "spec.foo"',)


async def test_a_patch_of_an_unknown_type_is_415_and_force_needs_apply() -> None:
    async with cluster() as api:
        await api.post(MAPS, config_map("a"))
        reply = await api.patch(f"{MAPS}/a", {}, "application/json")
        assert (reply.status, reply.reason) == (415, "UnsupportedMediaType")
        assert "application/apply-patch+yaml" in reply.message
        reply = await api.patch(f"{MAPS}/a?force=true", {})
        assert reply.message.endswith("force: Forbidden: may not be specified for non-apply patch")


async def test_the_stored_object_is_never_changed_in_place() -> None:
    async with cluster() as api:
        await api.post(f"{APPS}/deployments", deployment())
        stored = api.store.get("deployments.apps", "default", "web")
        assert stored is not None
        before = stored.data
        obj = stored.obj
        await api.patch(f"{APPS}/deployments/web", {"spec": {"template": {"spec": {"dnsPolicy": "Default"}}}})
        await api.patch(f"{APPS}/deployments/web/status", {"status": {"replicas": 1}})
        import orjson

        assert orjson.loads(before) == obj


async def test_apply_creates_then_merges_and_reports_conflicts() -> None:
    async with cluster() as api:
        url = f"{APPS}/deployments/web"
        reply = await api.patch(f"{url}?fieldManager=me", deployment(), APPLY)
        assert reply.status == 201
        before = api.store.revision
        assert (await api.patch(f"{url}?fieldManager=me", deployment(), APPLY)).status == 200
        assert api.store.revision == before
        reply = await api.patch(f"{url}?fieldManager=you", deployment(replicas=9), APPLY)
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert reply.message == 'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
        reply = await api.patch(f"{url}?fieldManager=you&force=true", deployment(replicas=9), APPLY)
        assert (reply.status, reply.body["spec"]["replicas"]) == (200, 9)


async def test_apply_needs_a_manager_and_the_right_version() -> None:
    async with cluster() as api:
        reply = await api.patch(f"{MAPS}/a", config_map("a"), APPLY)
        assert reply.message.endswith("fieldManager: Required value: is required for apply patch")
        reply = await api.patch(f"{MAPS}/a?fieldManager=me", {**config_map("a"), "apiVersion": "v2"}, APPLY)
        assert reply.message == (
            "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"
        )


async def test_apply_takes_yaml() -> None:
    async with cluster() as api:
        body = b"kind: ConfigMap\napiVersion: v1\ndata: {at: 2020-01-01}\n"
        reply = await api.ask("PATCH", f"{MAPS}/a?fieldManager=me", body, Content_Type=APPLY)
        assert (reply.status, reply.body["data"]) == (201, {"at": "2020-01-01"})


async def test_status_is_written_by_its_own_door_only() -> None:
    async with cluster() as api:
        made = (await api.post(f"{APPS}/deployments", {**deployment(), "status": {"replicas": 7}})).body
        assert "replicas" not in (made.get("status") or {})
        url = f"{APPS}/deployments/web/status"
        changed = {**made, "spec": {**made["spec"], "replicas": 50}, "status": {"replicas": 2}}
        reply = await api.put(url, changed)
        assert reply.body["status"]["replicas"] == 2
        assert (reply.body["spec"]["replicas"], reply.body["metadata"]["generation"]) == (1, 1)
        entry = next(one for one in reply.body["metadata"]["managedFields"] if one.get("subresource") == "status")
        assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}
        assert (await api.get(url)).body == reply.body


async def test_an_update_that_frees_a_deleting_object_removes_it() -> None:
    async with cluster() as api:
        body = config_map("a")
        body["metadata"]["finalizers"] = ["example.com/f"]
        await api.post(MAPS, body)
        assert "deletionTimestamp" in (await api.delete(f"{MAPS}/a")).body["metadata"]
        reply = await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
        assert reply.status == 200
        assert (await api.get(f"{MAPS}/a")).status == 404


async def test_yaml_bodies_and_answers() -> None:
    async with cluster() as api:
        body = b"metadata: {name: a}\ndata:\n  k: 'yes'\n"
        reply = await api.post(MAPS, body, Content_Type="application/yaml", Accept="application/yaml")
        assert (reply.status, reply.answer.content_type) == (201, "application/yaml")
        assert b"kind: ConfigMap" in reply.body
        twice = b"metadata: {name: b}\ndata: {k: a, k: b}\n"
        reply = await api.post(f"{MAPS}?fieldValidation=Strict", twice, Content_Type="application/yaml")
        assert 'duplicate field "k"' in reply.message
        reply = await api.post(MAPS, b"a: [", Content_Type="application/yaml")
        assert (reply.status, reply.reason) == (400, "BadRequest")


async def test_bodies_of_another_kind_are_refused() -> None:
    async with cluster() as api:
        reply = await api.post(MAPS, {"apiVersion": "apps/v1", "kind": "Deployment"})
        assert reply.message == ("the API version in the data (apps/v1) does not match the expected API version (v1)")
        reply = await api.post(MAPS, {"apiVersion": "v1", "kind": "Secret"})
        assert reply.message.startswith('Secret in version "v1" cannot be handled as a ConfigMap')
        reply = await api.post(MAPS, [1])
        assert reply.status == 400
        reply = await api.post(MAPS, b"{")
        assert (reply.status, reply.reason) == (400, "BadRequest")
        reply = await api.post(MAPS, {"metadata": {"name": 5}})
        assert (reply.status, "json: cannot unmarshal number" in reply.message) == (400, True)


async def test_an_invalid_object_says_which_field() -> None:
    async with cluster() as api:
        reply = await api.post(MAPS, config_map("A_b"))
        assert (reply.status, reply.reason) == (422, "Invalid")
        assert reply.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_the_local_client_has_the_same_pipeline() -> None:
    async with cluster() as api:
        made = await api.local.create(
            CONFIG_MAP, {**config_map("a", k="1"), "metadata": {"name": "a", "namespace": "default"}}
        )
        assert (await api.get(f"{MAPS}/a")).body == made

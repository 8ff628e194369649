"""What to do for a pod, case by case."""

from __future__ import annotations

from signal import SIGKILL, SIGQUIT, SIGTERM

from control.kubelet.knobs import FAST
from control.kubelet.plan import Conclude, Expire, Plan, Prepare, Shorten, Signal, Start, Stop, plan
from control.kubelet.record import Kill, PodRecord, Waiting
from tests.fakes.pods import NOW, container, deleting, end, pod, record_of, run

Pod = dict[str, object]


def ask(obj: Pod, record: PodRecord, now: float = NOW) -> Plan:
    return plan(obj, record, now, FAST)


def started(found: Plan) -> list[str]:
    return [action.container for action in found.actions if isinstance(action, Start)]


def test_a_new_pod_gets_its_sandbox_before_anything_else() -> None:
    obj = pod()
    record = record_of(obj)
    record.sandbox = ""
    assert ask(obj, record).actions == (Prepare(),)


def test_a_failed_sandbox_is_tried_again_later() -> None:
    obj = pod()
    record = record_of(obj)
    record.sandbox, record.sandbox_failed_at = "failed", NOW
    assert ask(obj, record, NOW + 9) == Plan((), {}, NOW + 10, False)
    assert ask(obj, record, NOW + 10).actions == (Prepare(),)


def test_all_containers_start_at_once_and_then_there_is_nothing_to_do() -> None:
    obj = pod(container("a"), container("b"))
    record = record_of(obj)
    assert started(ask(obj, record)) == ["a", "b"]
    run(record, obj, "a")
    record.containers["b"].phase = "starting"
    assert ask(obj, record) == Plan((), {}, None, False)


def test_init_containers_run_one_after_the_other_to_success() -> None:
    obj = pod(container(), initContainers=[container("i"), container("j")])
    record = record_of(obj)
    assert started(ask(obj, record)) == ["i"]
    run(record, obj, "i")
    assert started(ask(obj, record)) == []
    end(record, "i", 0)
    assert started(ask(obj, record)) == ["j"]
    run(record, obj, "j")
    end(record, "j", 0)
    assert started(ask(obj, record)) == ["c"]


def test_a_failed_init_container_is_final_only_with_restart_policy_never() -> None:
    for policy, expected in (("Never", []), ("OnFailure", ["i"]), ("Always", ["i"])):
        obj = pod(container(), initContainers=[container("i")], restartPolicy=policy)
        record = record_of(obj)
        run(record, obj, "i")
        end(record, "i", 1)
        assert started(ask(obj, record)) == expected


def test_sidecars_must_have_started_but_not_ended() -> None:
    sidecar = container("s", restartPolicy="Always", startupProbe={"exec": {}})
    obj = pod(container(), initContainers=[sidecar, container("i")])
    record = record_of(obj)
    run(record, obj, "s")
    assert started(ask(obj, record)) == [], "its startup probe has not succeeded"
    record.containers["s"].probe_started = True
    assert started(ask(obj, record)) == ["i"]


def test_sidecars_are_stopped_last_first_when_all_is_done() -> None:
    sidecars = [container("s1", restartPolicy="Always"), container("s2", restartPolicy="Always")]
    obj = pod(container(), initContainers=sidecars, restartPolicy="Never")
    record = record_of(obj)
    for name in ("s1", "s2", "c"):
        run(record, obj, name)
    assert ask(obj, record).actions == ()
    end(record, "c", 0)
    found = ask(obj, record)
    assert [(type(a), a.container) for a in found.actions] == [(Stop, "s1"), (Stop, "s2")]  # type: ignore[union-attr]
    for name in ("s1", "s2"):
        record.containers[name].kill = Kill("", NOW + 30, waits_turn=True)
    assert [a for a in ask(obj, record).actions if isinstance(a, Signal)] == [Signal("s2", SIGTERM, NOW + 30)]
    end(record, "s2", 143)
    assert [a for a in ask(obj, record).actions if isinstance(a, Signal)] == [Signal("s1", SIGTERM, NOW + 30)]
    end(record, "s1", 143)
    assert ask(obj, record).actions == (), "a sidecar does not restart when nothing is left to serve"


def test_restart_policies() -> None:
    for policy, code, expected in (
        ("Always", 0, ["c"]), ("Always", 1, ["c"]), ("OnFailure", 0, []), ("OnFailure", 1, ["c"]),
        ("Never", 0, []), ("Never", 1, []),
    ):  # fmt: skip
        obj = pod(restartPolicy=policy)
        record = record_of(obj)
        run(record, obj)
        end(record, "c", code)
        assert started(ask(obj, record)) == expected, (policy, code)


def test_the_first_restart_is_immediate_and_the_second_waits() -> None:
    obj = pod()
    record = record_of(obj)
    run(record, obj)
    end(record, "c", 1)
    assert ask(obj, record).actions == (Start("c", 1, counts=True, fresh=False),)
    record.containers["c"].crash.delay_s, record.containers["c"].crash.updated_at = 10.0, NOW
    run(record, obj)
    end(record, "c", 1)
    found = ask(obj, record, NOW + 9)
    message = "back-off 10s restarting failed container=c pod=p_default(uid-p)"
    assert found == Plan((), {"c": Waiting("CrashLoopBackOff", message)}, NOW + 10, False)
    assert started(ask(obj, record, NOW + 10)) == ["c"]


def test_a_changed_image_replaces_only_that_container_without_back_off() -> None:
    obj = pod(container("a"), container("b"), terminationGracePeriodSeconds=7)
    record = record_of(obj)
    run(record, obj, "a")
    run(record, obj, "b")
    changed = pod(container("a", "loopkube/echo:v2"), container("b"), terminationGracePeriodSeconds=7)
    message = "Container a definition changed, will be restarted"
    assert ask(changed, record).actions == (Stop("a", message, 7.0, restart=True),)
    held = record.containers["a"]
    held.kill = Kill(message, NOW + 7, restart=True)
    held.crash.delay_s, held.crash.updated_at = 300.0, NOW
    end(record, "a", 143)
    assert ask(changed, record).actions == (Start("a", 1, counts=False, fresh=True),)


def test_a_failed_liveness_probe_stops_with_its_own_grace() -> None:
    probe = {"exec": {}, "terminationGracePeriodSeconds": 3}
    for policy, suffix in (("Always", ", will be restarted"), ("Never", "")):
        obj = pod(container(livenessProbe=probe), restartPolicy=policy)
        record = record_of(obj)
        run(record, obj)
        record.containers["c"].unhealthy = "liveness"
        assert ask(obj, record).actions == (Stop("c", f"Container c failed liveness probe{suffix}", 3.0),)


def test_a_deleted_pod_is_stopped_then_told_then_deleted() -> None:
    obj = deleting(pod(), 20)
    record = record_of(obj)
    run(record, obj)
    assert ask(obj, record).actions == (Stop("c", "Stopping container c", 20.0),)
    record.containers["c"].kill = Kill("", NOW + 20)
    assert ask(obj, record).actions == (Signal("c", SIGTERM, NOW + 20),)
    end(record, "c", 143)
    assert ask(obj, record).actions == (), "the final status has to be written first"
    assert ask({**obj, "status": {"phase": "Failed"}}, record).actions == (Conclude(),)


def test_prestop_counts_inside_the_grace_and_leaves_two_seconds() -> None:
    obj = deleting(pod(), 10)
    record = record_of(obj)
    run(record, obj)
    kill = record.containers["c"].kill = Kill("", NOW + 10, hook="running")
    assert ask(obj, record, NOW + 9) == Plan((), {}, NOW + 10, True)
    assert ask(obj, record, NOW + 10).actions == (Signal("c", SIGTERM, NOW + 12),), "one-off two seconds"
    kill.hook = "done"
    assert ask(obj, record, NOW + 4).actions == (Signal("c", SIGTERM, NOW + 10),)
    kill.signalled = True
    assert ask(obj, record, NOW + 9).wake_at == NOW + 10
    assert ask(obj, record, NOW + 10).actions == (Signal("c", SIGKILL, NOW + 10),)
    kill.killed = True
    assert ask(obj, record, NOW + 11).actions == ()


def test_a_stop_signal_is_the_image_s_or_the_container_s() -> None:
    obj = deleting(pod())
    record = record_of(obj)
    run(record, obj)
    record.containers["c"].stop_signal = "SIGQUIT"
    record.containers["c"].kill = Kill("", NOW + 30)
    assert ask(obj, record).actions == (Signal("c", SIGQUIT, NOW + 30),)


def test_a_second_delete_shortens_the_grace() -> None:
    obj = deleting(pod(), 3)
    record = record_of(obj)
    run(record, obj)
    record.grace_s = 30.0
    record.containers["c"].kill = Kill("", NOW + 30, signalled=True)
    assert ask(obj, record).actions == (Shorten(3.0),)


def test_a_pod_that_is_gone_is_ended_without_a_word_to_the_api() -> None:
    obj = pod(terminationGracePeriodSeconds=60)
    record = record_of(obj)
    run(record, obj)
    record.removed = True
    assert ask(obj, record).actions == (Stop("c", "Stopping container c", 1.0),)
    end(record, "c", 143)
    assert ask(obj, record).actions == (Conclude(),)


def test_the_active_deadline_ends_the_pod() -> None:
    obj = pod(activeDeadlineSeconds=60)
    record = record_of(obj)
    run(record, obj)
    assert ask(obj, record, NOW + 59).wake_at == NOW + 60
    found = ask(obj, record, NOW + 60)
    assert found.actions == (Expire(), Stop("c", "Stopping container c", 30.0))
    assert found.ending


def test_a_finished_pod_starts_nothing() -> None:
    obj = {**pod(restartPolicy="Never"), "status": {"phase": "Succeeded"}}
    assert ask(obj, record_of(obj)).actions == ()


def test_an_unknown_image_backs_off_and_a_bad_configuration_is_tried_again() -> None:
    obj = pod(container(image="foo/bar"))
    record = record_of(obj)
    held = record.containers["c"]
    held.refused, held.refused_at, held.waiting = "image", NOW, Waiting("ErrImagePull", "nope")
    held.pull.delay_s = 10.0
    assert ask(obj, record, NOW + 0.5) == Plan((), {"c": Waiting("ErrImagePull", "nope")}, NOW + 1, False)
    text = 'Back-off pulling image "foo/bar": ErrImagePull: nope'
    assert ask(obj, record, NOW + 2) == Plan((), {"c": Waiting("ImagePullBackOff", text)}, NOW + 10, False)
    assert started(ask(obj, record, NOW + 10)) == ["c"]
    held.refused, held.waiting = "config", Waiting("CreateContainerConfigError", "x")
    assert ask(obj, record, NOW + 1).waiting == {"c": Waiting("CreateContainerConfigError", "x")}
    held.refused_at = 0.0
    assert started(ask(obj, record, NOW + 1)) == ["c"], "its ConfigMap came"

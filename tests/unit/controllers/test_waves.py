"""What may be under way together: new pods, in waves that double."""

from __future__ import annotations

from control.api.kinds import CONFIG_MAP, POD
from control.api.objects import Object, name_of
from control.controllers.action import Action, Create, Emit, Update
from control.controllers.waves import Deed, waves

OWNER: Object = {"metadata": {"name": "web"}}
FENCE = Update(CONFIG_MAP, OWNER)


def creation(number: int) -> tuple[Action, Action]:
    pod = {"metadata": {"name": f"p{number}"}}
    return Create(POD, pod), Emit(OWNER, "Normal", "SuccessfulCreate", f"Created pod: p{number}")


def test_pods_start_slowly_between_what_is_done_one_by_one() -> None:
    actions = [FENCE, *(action for number in range(10) for action in creation(number)), FENCE]
    found = list(waves(actions))
    assert [len(wave) for wave in found] == [1, 1, 2, 4, 3, 1]
    assert found[0] == found[-1] == (Deed(FENCE),)
    names = [name_of(deed.action.obj) for wave in found[1:-1] for deed in wave if isinstance(deed.action, Create)]
    assert names == [f"p{number}" for number in range(10)]
    assert all(len(deed.events) == 1 for wave in found[1:-1] for deed in wave)


def test_other_kinds_and_events_keep_their_order() -> None:
    event = Emit(OWNER, "Normal", "A", "first")
    other = Create(CONFIG_MAP, OWNER)
    found = list(waves([event, other, *creation(0), other, *creation(1)]))
    assert [wave[0].action for wave in found] == [event, other, creation(0)[0], other, creation(1)[0]]


def test_nothing_is_nothing() -> None:
    assert list(waves([])) == []

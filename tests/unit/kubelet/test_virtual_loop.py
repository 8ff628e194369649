"""The virtual clock itself: it jumps, it tells when nothing will come, and it ends what never rests."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.virtual_loop import run_virtually


def test_waiting_costs_nothing() -> None:
    async def main() -> float:
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=1_000_000)
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(1_000_000)


def test_what_never_comes_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen again"):
        run_virtually(main())


def test_what_never_rests_is_an_error() -> None:
    async def main() -> None:
        never = asyncio.ensure_future(asyncio.Event().wait())
        while True:
            await asyncio.wait([never], timeout=0.001)

    with pytest.raises(RuntimeError, match="no rest after"):
        run_virtually(main())

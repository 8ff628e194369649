"""CRI lines and rotation."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from control.supervise.crilog import LINE_MAX, Lines, LogFile, stamp

NOW = 1_767_323_045.25
STAMP = b"2026-01-02T03:04:05.250000000Z"


def test_the_stamp_has_nanoseconds() -> None:
    assert stamp(NOW) == STAMP


def test_lines_wait_for_their_end() -> None:
    lines = Lines(b"stdout")
    assert lines.feed(b"one\ntw", NOW) == STAMP + b" stdout F one\n"
    assert lines.feed(b"o\n", NOW) == STAMP + b" stdout F two\n"
    assert lines.end(NOW) == b""
    assert lines.feed(b"rest", NOW) == b""
    assert lines.end(NOW) == STAMP + b" stdout P rest\n"


@given(st.lists(st.binary(max_size=2 * LINE_MAX), max_size=4))
def test_no_byte_is_lost_however_the_stream_is_cut(pieces: list[bytes]) -> None:
    lines = Lines(b"stderr")
    out = b"".join([lines.feed(piece, NOW) for piece in pieces] + [lines.end(NOW)])
    text = b""
    for line in out.split(b"\n")[:-1]:
        _stamp, _stream, tag, rest = line.split(b" ", 3)
        text += rest + (b"\n" if tag == b"F" else b"")
        assert len(rest) <= LINE_MAX
    assert text == b"".join(pieces)


def test_a_full_file_becomes_dot_one_and_the_last_falls_off(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.log"
    log = LogFile(str(path), max_bytes=10, files_max=3)
    for line in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        log.write(line)
    log.close()
    assert path.read_bytes() == b"dddddddd\n"
    assert (tmp_path / "deep" / "a.log.1").read_bytes() == b"cccccccc\n"
    assert (tmp_path / "deep" / "a.log.2").read_bytes() == b"bbbbbbbb\n"
    assert not (tmp_path / "deep" / "a.log.3").exists()


def test_a_reopened_log_goes_on(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        log = LogFile(str(tmp_path / "a.log"), max_bytes=100, files_max=2)
        log.write(line)
        log.close()
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"

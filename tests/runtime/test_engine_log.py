"""Engine logs: anew at each launch, bounded while they grow, read from the end."""

import os
from pathlib import Path

from slipway.runtime.engine_log import log_tail, open_log, trim_log


def test_a_launch_begins_a_log_of_its_own_and_the_one_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    for text in (b"first\n", b"second\n", b"third\n"):
        with open_log(path) as log:
            os.write(log, text)
    assert path.read_text() == "third\n"
    assert (tmp_path / "logs" / "a.log.1").read_text() == "second\n"
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_log_that_has_grown_is_put_aside_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with open_log(path) as log:
        os.write(log, b"x" * 1000)
        trim_log(path, limit_bytes=2000)
        assert path.stat().st_size == 1000
        trim_log(path, limit_bytes=999)
        assert path.stat().st_size == 0
        os.write(log, b"after\n")
    assert path.read_text() == "after\n"
    assert (tmp_path / "a.log.1").stat().st_size == 1000


def test_the_tail_is_the_last_lines_of_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert log_tail(log, 3) == ()
    log.write_bytes(b"\xff" + b"".join(b"line %d\n" % number for number in range(100_000)))
    assert log_tail(log, 2) == ("line 99998", "line 99999")
    assert len(log_tail(log, 1_000_000)) == 100_000
    assert log_tail(log, 0) == ()
    log.write_bytes(b"a" * 1_000_000 + b"\nshort")
    assert log_tail(log, 1) == ("short",)
    assert [len(line) for line in log_tail(log, 2)] == [1_000_000, 5]

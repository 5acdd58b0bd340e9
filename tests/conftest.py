"""After the whole suite: what functions did in the world in memory, all tests together, is all that they may do.

That they do no more is held in every test by the world itself (tests/world/permissions.py).
"""

from typing import Any

import pytest

from tests.world.permissions import EVERY_USE, unneeded

_HANDED_OVER = "uses of permissions"


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended: what it has seen is the whole suite's."""
    EVERY_USE.update(tuple(use) for use in getattr(node, "workeroutput", {}).get(_HANDED_OVER, ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_HANDED_OVER] = sorted(EVERY_USE)
    elif _whole(session) and unneeded(EVERY_USE):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _whole(terminalreporter._session):
        for function, thing, effect in sorted(unneeded(EVERY_USE)):
            terminalreporter.write_line(f"PERMISSION without a use: {function} may {effect} on {thing}", red=True)


def _whole(session: pytest.Session) -> bool:
    """Whether every test was run, and none failed on the way."""
    given = session.config
    chosen = given.getoption("keyword") or given.getoption("markexpr") or given.getoption("lf", False)
    everything = given.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everything and not chosen and not session.testsfailed and not given.getoption("collectonly")

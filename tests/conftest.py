"""What every test shares: markers from folders, guards, and no silent skips in continuous integration."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import HealthCheck, settings

from tests import figures

# Nothing here depends on how fast the machine is; and in continuous integration, nothing depends on luck.
settings.register_profile(
    "bundlegen",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bundlegen")

TESTS = Path(__file__).parent

# Tests that may not be skipped where CI=true: without them a green run would prove nothing about what they are for.
MUST_RUN = ("e2e", "lint", "packaging")

SHOWN_PACKAGES = ("cryptography", "pydantic", "Jinja2", "PyYAML", "docopt-ng")
SHOWN_PROGRAMS = (("makeself", "--version"), ("openssl", "version"), ("shfmt", "--version"), ("bash", "--version"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the full figures: before a release")
    parser.addoption("--tiers", metavar="FILE", help="append a line for each tier to this file")


def pytest_configure(config: pytest.Config) -> None:
    figures.long = config.getoption("--long")


def pytest_report_header() -> list[str]:
    """The versions that results depend on, above every run."""
    packages = ", ".join(f"{name} {version(name)}" for name in SHOWN_PACKAGES)
    return [f"packages: {packages}", f"programs: {', '.join(_program_versions())}"]


def _program_versions() -> Iterator[str]:
    for name, argument in SHOWN_PROGRAMS:
        if shutil.which(name) is None:
            yield f"{name} missing"
            continue
        done = subprocess.run([name, argument], capture_output=True, text=True, check=False)
        first = (done.stdout.splitlines() or ["?"])[0]
        yield first if first.lower().startswith(("openssl", "makeself", "gnu bash")) else f"{name} {first}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's folder below tests/ is its marker."""
    for item in items:
        if tier := _tier(item.path):
            item.add_marker(getattr(pytest.mark, tier))


def _tier(path: Path) -> str:
    parts = path.relative_to(TESTS).parts if path.is_relative_to(TESTS) else ()
    return parts[0] if len(parts) > 1 else ""


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """A line for each tier: what became of its tests, and how long they took, one after the other."""
    lines = list(_tier_lines(terminalreporter.stats))
    for line in lines:
        terminalreporter.write_line(line)
    if into := config.getoption("--tiers"):
        with Path(into).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


def _tier_lines(stats: Mapping[str, Sequence[object]]) -> Iterator[str]:
    counts: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    for outcome, reports in stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport | pytest.CollectReport):
                tier = report.nodeid.removeprefix("tests/").partition("/")[0] or "tests"
                counts.setdefault(tier, Counter())["failed" if outcome == "error" else outcome] += 1
                seconds[tier] += int(1000 * getattr(report, "duration", 0))
    for tier, count in sorted(counts.items()):
        parts = ", ".join(f"{count[outcome]:5} {outcome}" for outcome in ("passed", "failed", "skipped"))
        yield f"{tier:11} {parts}, {seconds[tier] / 1000:6.0f} s"


def _skips_fail(path: Path) -> bool:
    return os.environ.get("CI") == "true" and _tier(path) in MUST_RUN


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"in continuous integration this must run, and was not: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _skips_fail(item.path):
        _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and _skips_fail(collector.path):
        _as_failure(report)
    return report


def pytest_collection_finish() -> None:
    """What is there before the first test is kept for good; so the guard below looks only at what tests made."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """A test that changes the environment, the folder or the umask and leaves it so breaks the next one.

    A process, pipe or file that it left open warns when it is collected, which must be now: later, the warning would
    fail another test. What outlives the test is then kept for good, so that the next look is as quick as the first.
    """
    before = (dict(os.environ), Path.cwd(), _umask())
    yield
    gc.collect()
    gc.freeze()
    after = (dict(os.environ), Path.cwd(), _umask())
    for state in (before[0], after[0]):
        state.pop("PYTEST_CURRENT_TEST", None)
    assert after == before


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


@pytest.fixture(autouse=True)
def _unit_tests_stay_pure(
    _nothing_left_behind: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tests/unit no program is started and no socket opened: such a test belongs in another folder.

    Asks for the other guard so that it comes first: monkeypatch undoes its changes before that one looks.
    """
    if request.node.get_closest_marker("unit") is None:
        return

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        pytest.fail("a unit test started a program or opened a socket", pytrace=True)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(os, "system", refuse)

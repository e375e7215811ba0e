"""``bundlegen verify``: check bundles and change folders."""

from __future__ import annotations

from datetime import UTC, datetime

from bundlegen.commands.arguments import Arguments
from bundlegen.errors import EXIT_OK, UsageError, VerificationError
from bundlegen.system import clock
from bundlegen.system.console import Console
from bundlegen.system.text import one_line
from bundlegen.trust.verify import verify


def run(arguments: Arguments, console: Console) -> int:
    """Verify bundles and change folders: one line per finding. Raises UsageError and ToolError."""
    at = _moment(arguments.at)
    found = {
        path: verify(path, at, allowed=arguments.allowed_signers, signer=arguments.signer) for path in arguments.paths
    }
    failed = any(each.fatal for findings in found.values() for each in findings)
    if arguments.json:
        results = [
            {
                "path": str(path),
                "good": not any(each.fatal for each in findings),
                "findings": [{"where": e.where, "sentence": e.sentence, "fatal": e.fatal} for e in findings],
            }
            for path, findings in found.items()
        ]
        console.data({"good": not failed, "at": at.isoformat(), "results": results})
    else:
        for path, findings in found.items():
            for each in findings:
                if each.fatal:
                    console.result(one_line(str(each)))
                else:
                    console.warn(one_line(str(each)))
            if not any(each.fatal for each in findings):
                console.outcome(f"{path}: good")
    return VerificationError.exit_code if failed else EXIT_OK


def _moment(text: str) -> datetime:
    if not text:
        return clock.now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--at {text}: not a date", hint="write it as 2027-01-31 or 2027-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

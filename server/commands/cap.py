"""`fenghuo cap check FILE`: is an alert valid, and why not."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from alerts.cap.examination import Examination, examine
from server.settings import Settings
from server.terminal import Terminal

LARGEST = 8 * 2**20
"""Bytes of a file that is read; CAP alerts have some ten thousand."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    actions = commands.add_parser("cap", help="documents of the Common Alerting Protocol")
    check = actions.add_subparsers(required=True, metavar="ACTION").add_parser(
        "check", help="is it valid, and why not: schema, rules, signature; exit 0 or 1"
    )
    check.add_argument("file", type=Path, help="an alert; - for standard input")
    check.add_argument(
        "--trust", type=Path, metavar="PEM", help="certificates of authorities that may vouch"
    )
    check.add_argument("--json", action="store_true", help="for machines")
    check.set_defaults(work=_check)


async def _check(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:  # noqa: ARG001 - the command needs no settings
    try:
        xml = _read(arguments.file)
    except OSError as error:
        terminal.error("cap.unreadable", file=arguments.file, reason=error.strerror or error)
        return 1
    found = examine(xml, trust=arguments.trust)
    if arguments.json:
        signed = None if found.signed is None else asdict(found.signed)
        said = {"valid": found.valid, **found.problems("en"), "signed": signed}
        sys.stdout.write(json.dumps(said, indent=1) + "\n")
    else:
        _tell(found, arguments.file, terminal)
    return 0 if found.valid else 1


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(LARGEST)
    with file.open("rb") as stream:
        return stream.read(LARGEST)


def _tell(found: Examination, file: Path, terminal: Terminal) -> None:
    say = sys.stdout.write
    say(terminal.text("cap.valid" if found.valid else "cap.invalid", file=file) + "\n")
    for part, problems in found.problems(terminal.language).items():
        for problem in problems:
            say(f"  {terminal.text(f'cap.part.{part}')}: {problem}\n")
    if found.form or found.signature:
        return
    signed = found.signed
    if signed is None:
        say(f"  {terminal.text('cap.unsigned')}\n")
        return
    trusted = terminal.text("cap.trusted" if signed.trusted else "cap.untrusted")
    values = {"subject": signed.subject, "issuer": signed.issuer, "trusted": trusted}
    say(f"  {terminal.text('cap.signed', **values)}\n")
    if signed.laid_out:
        say(f"  {terminal.text('cap.laid_out')}\n")
    if signed.late:
        say(f"  {terminal.text('cap.late')}\n")

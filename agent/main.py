"""The command ``fenghuo-agent``."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent import config, doctor, event, lockstep, station
from agent.clock import SystemClock
from agent.drivers.columns import Fault, Faults
from agent.drivers.port import DriverError
from agent.lockstep import AnotherEvent, GaveUp, Progress, Stuck
from agent.spool import SpoolError
from agent.version import __version__
from agent.words import Words, language

INTERRUPTED = 130
"""Exit code of a replay that was ended by a signal."""

_DEMO_CONFIRM = 10.0
_DEMO_RETRY = 2.0

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    words = Words(language())
    options = _parser(words).parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(levelname)s %(name)s %(message)s",
    )
    command: Callable[[argparse.Namespace, Words], int] = options.command
    try:
        return command(options, words)
    except (config.ConfigError, event.EventError, DriverError, SpoolError) as error:
        print(f"fenghuo-agent: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _run(options: argparse.Namespace, _words: Words) -> int:
    station.run(config.load(options.config), clock=SystemClock(), stop=_signals())
    return 0


def _replay(options: argparse.Namespace, words: Words) -> int:
    found = event.load(options.event)
    if options.stations:
        found = found.choose([name.strip() for name in options.stations.split(",")])
    faults = Faults(_fault)
    timeline = event.Timeline(found, fault=faults)
    if faults.count:
        _say(words("replay.faults", count=faults.count))
    stop = _signals()
    replay = lockstep.Lockstep(
        timeline,
        broker=lambda name: _broker(options, name),
        state=options.state,
        clock=SystemClock(),
        pace=options.pace,
        patience=options.patience,
        tell=_Teller(words, json=options.json, follow=stop if options.follow else None),
    )
    try:
        end = replay.run(stop)
    except AnotherEvent as error:
        _say(words("replay.another", state=error))
        return 1
    except GaveUp as error:
        stuck = _readable(error.stuck, words)
        _say(words("replay.gave_up", state=options.state, **msgspec.structs.asdict(stuck)))
        return 1
    finally:
        timeline.close()
    if end is None:
        return INTERRUPTED
    if options.json:
        _line({"done": True, "sent": end.sent, "refused": end.refused})
    else:
        _say(words("replay.done", sent=end.sent, refused=end.refused))
    return 0


def _simulate(options: argparse.Namespace, words: Words) -> int:
    name = config.station(options.station)
    options.state.mkdir(parents=True, exist_ok=True)
    source = {"interval": options.interval, "seed": options.seed}
    stop = _signals()
    tally = station.run(
        config.Config(
            station=name,
            broker=_broker(options, name),
            driver=config.Source(name="simulator", options=source),
            spool=config.Storage(path=f"{name}.sqlite"),
            folder=str(options.state),
        ),
        clock=SystemClock(),
        stop=stop,
        count=options.count,
        patience=options.patience,
    )
    if tally.waiting:
        _say(words("simulate.left", waiting=tally.waiting, state=options.state))
        return 0 if stop.is_set() else 1
    if options.count:
        _say(words("simulate.done", sent=options.count, refused=tally.refused))
    return 0


def _doctor(options: argparse.Namespace, words: Words) -> int:
    logging.disable()
    failed, count = 0, 0
    for finding in doctor.examine(options.config, clock=SystemClock(), words=words):
        print(doctor.sentence(finding, words), flush=True)  # noqa: T201
        failed += finding.good is False
        count += 1
    print(words("doctor.bad", count=failed, all=count) if failed else words("doctor.good"))  # noqa: T201
    return 1 if failed else 0


def _broker(options: argparse.Namespace, name: str) -> config.Broker:
    """Give a station's way from the command line."""
    return config.complete(
        config.Broker(
            url=options.broker,
            username=options.username,
            password_file=options.password_file,
            authority=options.ca,
            confirm=_DEMO_CONFIRM,
            retry=_DEMO_RETRY,
        ),
        name,
        Path(),
    )


class _Teller:
    """Tells the progress of a replay: as JSON lines, or to a person.

    follow: each step is told, and then waits for a line on standard input; set at its end.
    """

    def __init__(self, words: Words, *, json: bool, follow: threading.Event | None) -> None:
        self._words = words
        self._json = json
        self._follow = follow

    def __call__(self, said: Progress | Stuck) -> None:
        if isinstance(said, Stuck):
            stuck = _readable(said, self._words)
            _say(self._words("replay.waiting", **msgspec.structs.asdict(stuck)))
        elif self._json:
            _line(msgspec.structs.asdict(said))
        else:
            _say(self._words("replay.step", **msgspec.structs.asdict(said)))
        if self._follow is not None and isinstance(said, Progress) and not sys.stdin.readline():
            self._follow.set()


def _readable(stuck: Stuck, words: Words) -> Stuck:
    """Put words where the connection has no problem of its own."""
    if stuck.problem:
        return stuck
    text = words("replay.silent" if stuck.connected else "replay.connecting")
    return msgspec.structs.replace(stuck, problem=text)


def _line(values: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(values) + b"\n")
    sys.stdout.buffer.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _fault(fault: Fault) -> None:
    log.warning("event.fault %s", fault)


def _signals() -> threading.Event:
    """Give the event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _parser(words: Words) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fenghuo-agent", description=words("help.about"))
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="run|replay|simulate|doctor")

    run = _command(commands, "run", words, _run)
    run.add_argument("--config", type=Path, required=True, help=words("help.config"))

    replay = _command(commands, "replay", words, _replay)
    replay.add_argument("--event", type=Path, required=True, help=words("help.event"))
    replay.add_argument("--state", type=Path, required=True, help=words("help.state"))
    replay.add_argument("--pace", type=_natural, default=3_600, help=words("help.pace"))
    replay.add_argument("--json", action="store_true", help=words("help.json"))
    replay.add_argument("--follow", action="store_true", help=words("help.follow"))
    replay.add_argument("--stations", default="", help=words("help.stations"))
    replay.add_argument("--patience", type=_natural, default=600, help=words("help.patience"))
    _add_broker(replay, words)

    simulate = _command(commands, "simulate", words, _simulate)
    simulate.add_argument("--station", required=True, help=words("help.station"))
    simulate.add_argument("--interval", type=int, default=60, help=words("help.interval"))
    simulate.add_argument("--count", type=int, default=0, help=words("help.count"))
    simulate.add_argument("--seed", type=int, help=words("help.seed"))
    simulate.add_argument("--patience", type=_natural, default=600, help=words("help.patience"))
    state = Path(".fenghuo", "simulate")
    simulate.add_argument("--state", type=Path, default=state, help=words("help.state"))
    _add_broker(simulate, words)

    check = _command(commands, "doctor", words, _doctor)
    check.add_argument("--config", type=Path, required=True, help=words("help.config"))
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: Words,
    function: Callable[[argparse.Namespace, Words], int],
) -> argparse.ArgumentParser:
    text = words(f"help.{name}")
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--verbose", action="store_true", help=words("help.verbose"))
    parser.set_defaults(command=function)
    return parser


def _add_broker(parser: argparse.ArgumentParser, words: Words) -> None:
    parser.add_argument("--broker", required=True, help=words("help.broker"))
    parser.add_argument("--ca", default="", help=words("help.authority"))
    parser.add_argument("--username", default="", help=words("help.username"))
    parser.add_argument("--password-file", default="", help=words("help.password_file"))


def _natural(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


if __name__ == "__main__":
    sys.exit(main())

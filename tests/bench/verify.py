"""How long does it take to score two years of an archive, and what does the report card say?

``python -m tests.bench.verify`` on the archives of ``../shared/data``, each skipped where it is
not there. The figures that an archive must show, whoever runs it, are in tests/integration.
"""

import time
from pathlib import Path
from typing import Any

from forecast.criteria import Book
from forecast.verification.card import HazardCard
from server.archives import opening
from server.commands.verify import UNITS, Result, examine
from tests.bench.ingest import row

DATA = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = {
    "Beijing, two years": ("beijing_hourly", "beijing"),
    "KNMI, two days": ("knmi_10min", "knmi"),
}
Row = dict[str, Any]


def score(name: str, mapping: str, **given: Any) -> tuple[Result, float]:
    """Score an archive; give the card and the seconds, reading included."""
    begun = time.perf_counter()
    archive = opening.archive(DATA / name, mapping)
    result = examine(archive, criteria=Book.shipped("national", units=UNITS).base, **given)
    return result, time.perf_counter() - begun


def run() -> list[Row]:
    """Measure."""
    rows: list[Row] = []
    for title, (folder, mapping) in ARCHIVES.items():
        if not (DATA / folder).is_dir():
            reason = f"../shared/data/{folder} is not there"
            rows.append({"name": f"verify: {title}", "skipped": reason})
            continue
        result, seconds = score(folder, mapping)
        card = result.card
        rows.append(row(f"verify: {title}, {card.moments:,} moments", seconds, "s"))
        for hazard in card.hazards:
            if hazard.score.hits or hazard.score.false_alarms:
                rows += list(_figures(title, hazard))
    return rows


def _figures(title: str, hazard: HazardCard) -> list[Row]:
    name = f"verify: {title}, {hazard.hazard.replace('_', ' ')}"
    found = []
    cases, held = hazard.cases, hazard.cases.persistence
    rule = cases.rule
    for key in ("csi", "far"):
        value = getattr(rule, key).value
        if value is None:
            continue
        other = getattr(held, key).value if held else None
        ratio = (value / other, "persistence") if other else ()
        found.append(row(f"{name}, {key.upper()} of station-moments", value, "", *ratio))
    if hazard.score.lead.value is not None:
        found.append(row(f"{name}, mean lead", hazard.score.lead.value, "min"))
    if hazard.score.early.value is not None:
        early = 100 * hazard.score.early.value
        found.append(row(f"{name}, announced an hour before", early, "% of events"))
    return found


if __name__ == "__main__":
    for found in run():
        print(found)

"""Radar nowcast beside persistence and pysteps, on real frames, in one run.

``python -m tests.bench.radar [csi|chance|time …] [--json FILE]``. Constants were fitted on the
first half of the KNMI event; only starts in its second half, and the Finnish event, count here.
A forecast of nothing (nan) counts as no rain; cells that the verifying frame does not see do not
count. Scores are pooled over the starts.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.radar import frames, probability, scales
from server.radar_files import read

Row_ = dict[str, Any]
Fields = NDArray[np.floating]

DATA = Path(__file__).parents[3] / "shared/data"
EVENTS = {
    "KNMI": ("radar_knmi_20100826", "knmi", (24, 28, 32, 36)),
    "FMI": ("radar_fmi_20160928", "fmi", (3, 7, 11)),
}
STEPS_STARTS = {"KNMI": (28, 36), "FMI": (7,)}
THRESHOLDS = (0.1, 1.0, 5.0)
LEADS = (15, 30, 60)
MEMBERS = 12


def run() -> list[Row_]:
    """Measure everything; rows for the benchmark table, the shorter leads inside the first."""
    missing = [name for name, _, _ in EVENTS.values() if not (DATA / name).exists()]
    if missing:
        return [{"name": "radar", "skipped": f"no {', '.join(missing)}"}]
    if importlib.util.find_spec("pysteps") is None:
        reason = "no pysteps: pip install pysteps, which needs a C compiler"
        return [{"name": "radar", "skipped": reason}]
    rows = [*csi(), *chance()]
    shown = [row for row in rows if " 60 min " in row["name"]]
    shown[0]["all"] = [dict(row) for row in rows]
    return [*shown, *cost()]


def csi() -> list[Row_]:
    """Critical success index of the field and the expected area beside three references."""
    rows = []
    for event, (folder, kind, starts) in EVENTS.items():
        series = load(folder, kind)
        counts: dict[str, NDArray[np.float64]] = {}
        for start in starts:
            truth = {lead: series[start + lead // 5].to_numpy() for lead in LEADS}
            for name, fields in forecasts(series, start):
                table = counts.setdefault(name, np.zeros((len(LEADS), len(THRESHOLDS), 3)))
                for i, lead in enumerate(LEADS):
                    for j, limit in enumerate(THRESHOLDS):
                        table[i, j] += contingency(
                            fields(lead, limit),
                            truth[lead] >= limit - 1e-6,
                            np.isfinite(truth[lead]),
                        )
        rows += csi_rows(event, counts, len(starts))
    return rows


def forecasts(
    series: xr.DataArray, start: int
) -> Iterator[tuple[str, Callable[[int, float], NDArray[np.bool_]]]]:
    """Give each method's answer to: where is a threshold reached at a lead?"""

    def of(fields: dict[int, Fields]) -> Callable[[int, float], NDArray[np.bool_]]:
        return lambda lead, limit: np.nan_to_num(fields[lead]) >= limit - 1e-6

    past = series[: start + 1]
    newest = past[-1].to_numpy()
    yield "persistence", of(dict.fromkeys(LEADS, newest))
    images = decibels(past[-3:].to_numpy())
    with quiet():
        motion, nowcasts = pysteps()
        flow = motion.get_method("LK")(images)
        moved = nowcasts.get_method("extrapolation")(images[-1], flow, 12)
        yield "Lucas-Kanade", of({lead: rates(moved[lead // 5 - 1]) for lead in LEADS})
        sprog = nowcasts.get_method("sprog")(images, flow, 12, precip_thr=-10.0, n_cascade_levels=6)
        yield "S-PROG", of({lead: rates(sprog[lead // 5 - 1]) for lead in LEADS})
    recent = frames.recent(past)
    cast = scales.nowcast(past, recent)
    yield "field", of({lead: cast.rain[lead // 5 - 1].to_numpy() for lead in LEADS})
    members = {
        int(frame.lead): frame.rain
        for frame in probability.ensemble(cast.scales, leads=LEADS, members=MEMBERS)
    }
    yield (
        "expected",
        lambda lead, limit: probability.expected(
            probability.chance(members[lead], limit, width=lead * probability.SPREAD)
        ),
    )


def csi_rows(event: str, counts: dict[str, NDArray[np.float64]], starts: int) -> list[Row_]:
    """Give rows: ours, with the best reference as what it is compared to."""
    index = {
        name: table[..., 0] / np.maximum(table.sum(axis=-1), 1) for name, table in counts.items()
    }
    references = ("persistence", "Lucas-Kanade", "S-PROG")
    rows = []
    for i, lead in enumerate(LEADS):
        for j, limit in enumerate(THRESHOLDS):
            best = max(references, key=lambda name: float(index[name][i, j]))
            row: Row_ = {
                "name": f"radar CSI {event} {lead} min {limit:g} mm/h ({starts} starts)",
                "figure": round(float(index["field"][i, j]), 4),
                "unit": "CSI",
                "expected": round(float(index["expected"][i, j]), 4),
            }
            row |= {name: round(float(index[name][i, j]), 4) for name in references}
            if index[best][i, j] > 0:
                row |= {"ratio": float(index["field"][i, j] / index[best][i, j]), "to": best}
            rows.append(row)
    return rows


def chance() -> list[Row_]:
    """Brier score and reliability beside pysteps' ensemble of as many members."""
    rows = []
    for event, (folder, kind, _) in EVENTS.items():
        series = load(folder, kind)
        tables: dict[tuple[str, int, float], NDArray[np.float64]] = {}
        for start in STEPS_STARTS[event]:
            past = series[: start + 1]
            ours = scales.Scales.of(frames.recent(past))
            members = {
                int(frame.lead): frame.rain
                for frame in probability.ensemble(ours, leads=LEADS, members=MEMBERS)
            }
            steps = steps_members(past)
            for lead in LEADS:
                truth = series[start + lead // 5].to_numpy()
                ok = np.isfinite(truth)
                for limit in THRESHOLDS:
                    hit = truth[ok] >= limit - 1e-6
                    for name, share in (
                        (
                            "ours",
                            probability.chance(
                                members[lead], limit, width=lead * probability.SPREAD
                            ),
                        ),
                        ("STEPS", (steps[lead] >= limit - 1e-6).mean(axis=0)),
                    ):
                        key = (name, lead, limit)
                        table = tables.setdefault(key, np.zeros((3, 11)))
                        table += reliability(np.nan_to_num(share)[ok], hit)
        for lead in LEADS:
            for limit in THRESHOLDS:
                mine, theirs = (tables[name, lead, limit] for name in ("ours", "STEPS"))
                rows.append(
                    {
                        "name": f"radar Brier {event} {lead} min {limit:g} mm/h"
                        f" ({len(STEPS_STARTS[event])} starts, {MEMBERS} members)",
                        "figure": round(brier(mine), 5),
                        "unit": "Brier",
                        "ratio": brier(mine) / brier(theirs),
                        "to": "STEPS",
                        "STEPS": round(brier(theirs), 5),
                        "climate": round(climate(mine), 5),
                        "reliability": curve(mine),
                        "reliability_STEPS": curve(theirs),
                    }
                )
    return rows


def cost() -> list[Row_]:
    """Seconds for 60 min of 5-min steps at 765 x 700, motion included, best of three."""
    folder, kind, _ = EVENTS["KNMI"]
    past = load(folder, kind)[:31]

    def ours() -> None:
        scales.nowcast(past, frames.recent(past))

    def theirs() -> None:
        with quiet():
            motion, nowcasts = pysteps()
            images = decibels(past[-3:].to_numpy())
            nowcasts.get_method("extrapolation")(images[-1], motion.get_method("LK")(images), 12)

    def members() -> None:
        recent = frames.recent(past)
        for _ in probability.ensemble(scales.Scales.of(recent), members=20):
            pass

    mine, peer = best(ours), best(theirs)
    name = "radar nowcast, 60 min of 5-min steps, 765 x 700"
    return [
        {
            "name": name,
            "figure": mine,
            "unit": "s",
            "ratio": mine / peer,
            "to": f"pysteps Lucas-Kanade ({peer:.2f} s)",
        },
        {"name": "radar ensemble, 20 members, 12 steps", "figure": best(members, 1), "unit": "s"},
    ]


def load(folder: str, kind: str) -> xr.DataArray:
    """Read an event."""
    return read(sorted((DATA / folder).iterdir()), kind=kind)


def decibels(rain: Fields) -> Fields:
    """Give dB of mm/h the way pysteps wants it, -15 for none."""
    known = np.nan_to_num(rain).astype(float)
    return np.where(known >= 0.1, 10 * np.log10(np.maximum(known, 0.1)), -15.0)


def rates(images: Fields) -> Fields:
    """Give mm/h of dB; what pysteps does not know is nan."""
    rain = np.where(images >= -10, 10 ** (np.nan_to_num(images) / 10), 0.0)
    return np.where(np.isfinite(images), rain, np.nan)


def steps_members(past: xr.DataArray) -> dict[int, Fields]:
    """Run pysteps' STEPS with its defaults for rain in dB."""
    images = decibels(past[-3:].to_numpy())
    with quiet():
        motion, nowcasts = pysteps()
        flow = motion.get_method("LK")(images)
        found = nowcasts.get_method("steps")(
            images,
            flow,
            12,
            n_ens_members=MEMBERS,
            n_cascade_levels=6,
            precip_thr=-10.0,
            kmperpixel=1.0,
            timestep=5,
            noise_method="nonparametric",
            vel_pert_method="bps",
            mask_method="incremental",
            num_workers=2,
            seed=1,
        )
    return {lead: np.nan_to_num(rates(found[:, lead // 5 - 1])) for lead in LEADS}


def contingency(
    yes: NDArray[np.bool_], hit: NDArray[np.bool_], ok: NDArray[np.bool_]
) -> tuple[int, int, int]:
    """Count hits, misses and false alarms."""
    yes, hit = yes[ok], hit[ok]
    return int((yes & hit).sum()), int((~yes & hit).sum()), int((yes & ~hit).sum())


def reliability(share: Fields, hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give, in eleven bins: cells, sum of chances, hits; the last holds the Brier sums."""
    table = np.zeros((3, 11))
    place = np.minimum((share * 10).astype(np.int64), 9)
    for row, weight in enumerate((np.ones(len(hit)), share, hit.astype(float))):
        table[row, :10] = np.bincount(place, weight, minlength=10)
    table[:, 10] = len(hit), float(((share - hit) ** 2).sum()), float(hit.sum())
    return table


def brier(table: NDArray[np.float64]) -> float:
    return float(table[1, 10] / table[0, 10])


def climate(table: NDArray[np.float64]) -> float:
    share = table[2, 10] / table[0, 10]
    return float(share * (1 - share))


def curve(table: NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Give mean chance, share of hits and cells for each bin that has a hundred."""
    return [
        (round(table[1, b] / table[0, b], 3), round(table[2, b] / table[0, b], 3), int(table[0, b]))
        for b in range(10)
        if table[0, b] >= 100
    ]


def best(work: Callable[[], None], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pysteps from printing."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def pysteps() -> tuple[Any, Any]:
    """Give pysteps' motion and nowcasts; it speaks when it is imported."""
    return importlib.import_module("pysteps.motion"), importlib.import_module("pysteps.nowcasts")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["csi", "chance", "time"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    parts = {"csi": csi, "chance": chance, "time": cost}
    rows = [row for part in arguments.parts for row in parts[part]()]
    for row in rows:
        print(json.dumps(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

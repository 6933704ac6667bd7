"""What stations find, gathered by region: one proposal for a danger at a place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from forecast.criteria import HAZARDS, LEVELS
from forecast.nowcast import Door, Evidence, Finding


@dataclass(frozen=True, slots=True)
class Proposal:
    """The highest level in a region. time: when the first of the stations that carry it met it.

    evidence: of every station that carries the level by this door, the strongest first.
    """

    hazard: str
    region: int
    level: str
    door: Door
    time: int
    evidence: tuple[Evidence, ...]


def propose(findings: Iterable[Finding], membership: Sequence[Sequence[int]]) -> list[Proposal]:
    """Give the highest level for each region and hazard, by the regions' order.

    membership: the stations of each region; a station may belong to several. Of two doors to
    the same level the observed one counts.
    """
    regions: dict[int, list[int]] = {}
    for region, stations in enumerate(membership):
        for station in stations:
            regions.setdefault(station, []).append(region)
    gathered: dict[tuple[int, int], list[Finding]] = {}
    for finding in findings:
        for region in regions.get(finding.station, ()):
            key = (region, HAZARDS.index(finding.hazard))
            gathered.setdefault(key, []).append(finding)
    return [_gather(region, gathered[region, hazard]) for region, hazard in sorted(gathered)]


def _gather(region: int, findings: list[Finding]) -> Proposal:
    best = max(findings, key=_standing)
    carrying = [finding for finding in findings if _standing(finding) == _standing(best)]
    carrying.sort(key=lambda finding: (-_strength(finding), finding.station))
    return Proposal(
        hazard=best.hazard,
        region=region,
        level=best.level,
        door=best.door,
        time=min(finding.time for finding in carrying),
        evidence=tuple(item for finding in carrying for item in finding.evidence),
    )


def _standing(finding: Finding) -> tuple[int, bool]:
    return LEVELS.index(finding.level), finding.door == "observed"


def _strength(finding: Finding) -> float:
    """How far the first number lies beyond its threshold; how likely it is, where expected."""
    first = finding.evidence[0]
    if first.probability is not None:
        return first.probability
    beyond = first.value - first.threshold
    return beyond if first.comparison in (">=", ">") else -beyond

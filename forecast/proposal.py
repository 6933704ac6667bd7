"""What stations find, gathered by region: one proposal for a danger at a place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from forecast.criteria import HAZARDS, LEVELS
from forecast.finding import Door, Evidence, Finding, Standing

__all__ = ["Door", "Evidence", "Finding", "Proposal", "Standing", "propose"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The highest level in a region. time: when the first of the stations that carry it met it.

    evidence: of every station that carries the level by this door, the strongest first.
    standing: ``sound`` as soon as one of them is, or two are there; see `Finding`. lead: seconds
    until the first of them is expected to meet it; 0 for the observed door. probability: of the
    strongest; None for the observed door. fading: not likely enough to open, only to stay open.
    unsure: a higher level, where that is lone or doubtful. radar: time of the picture looked at.
    """

    hazard: str
    region: int
    level: str
    door: Door
    time: int
    evidence: tuple[Evidence, ...]
    standing: Standing = "sound"
    lead: int = 0
    probability: float | None = None
    fading: bool = False
    unsure: "Proposal | None" = None
    radar: int | None = None

    @property
    def stations(self) -> frozenset[int]:
        """The stations that carry it."""
        return frozenset(item.station for item in self.evidence)


def propose(findings: Iterable[Finding], membership: Sequence[Sequence[int]]) -> list[Proposal]:
    """Give the highest level for each region and hazard, by the regions' order.

    membership: the stations of each region; a station may belong to several. Of two doors to
    the same level the observed one counts. A level that is lone or doubtful stands behind the
    highest sound one, as what is ``unsure``; alone it is a proposal of that standing.
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
    return [_proposed(region, gathered[region, hazard]) for region, hazard in sorted(gathered)]


def _proposed(region: int, findings: list[Finding]) -> Proposal:
    confirmed = _confirmed(findings)
    firm = [each for each in confirmed if each.standing == "sound" and not each.fading]
    best = _gather(region, firm) if firm else None
    reached = LEVELS.index(best.level) if best else -1
    higher = [each for each in confirmed if LEVELS.index(each.level) > reached]
    # What is lone or fades holds a level that stands; so it comes before what is in doubt.
    weaker = [each for each in higher if each.standing != "doubtful"]
    unsure = _gather(region, weaker or higher) if higher else None
    if best is None:
        return unsure or _gather(region, findings)
    return replace(best, unsure=unsure) if unsure else best


def _confirmed(findings: list[Finding]) -> list[Finding]:
    """Let two stations that observe a level confirm each other; bad values confirm nothing."""
    found: list[Finding] = []
    for finding in findings:
        lone = finding.standing == "lone"
        beside = lone and any(
            other.station != finding.station
            and other.door == "observed"
            and other.standing != "doubtful"
            and LEVELS.index(other.level) >= LEVELS.index(finding.level)
            for other in findings
        )
        found.append(replace(finding, standing="sound") if beside else finding)
    return found


def _gather(region: int, findings: list[Finding]) -> Proposal:
    best = max(findings, key=_order)
    carrying = [finding for finding in findings if _order(finding) == _order(best)]
    carrying.sort(key=lambda finding: (-_strength(finding), finding.station))
    return Proposal(
        hazard=best.hazard,
        region=region,
        level=best.level,
        door=best.door,
        time=min(finding.time for finding in carrying),
        evidence=tuple(item for finding in carrying for item in finding.evidence),
        standing=best.standing,
        lead=min(finding.lead for finding in carrying),
        probability=carrying[0].evidence[0].probability,
        fading=best.fading,
        radar=best.radar,
    )


def _order(finding: Finding) -> tuple[int, bool, bool, bool]:
    return (
        LEVELS.index(finding.level),
        finding.standing == "sound",
        not finding.fading,
        finding.door == "observed",
    )


def _strength(finding: Finding) -> float:
    """How far the first number lies beyond its threshold; how likely it is, where expected."""
    first = finding.evidence[0]
    if first.probability is not None:
        return first.probability
    beyond = first.value - first.threshold
    return beyond if first.comparison in (">=", ">") else -beyond

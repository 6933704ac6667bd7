"""Finding a place: by its name as people write it, or by a position."""

import difflib
import re
import unicodedata
from collections.abc import Sequence

import shapely

from alerts.regions import Region

_ENDINGS = re.compile(
    r"(?:自治州|自治县|自治旗|特别行政区|街道办事处|街道|地区|新区|林区|市|区|县|旗|镇|乡|村|社区"
    r"|district|county|city|township|town|village)$"
)
_CLOSE = 0.6

EVERYWHERE = frozenset({"*", "all", "everywhere", "全部", "全市", "全县", "全区", "全省", "所有"})
"""What people write when they mean every region."""


class Places:
    """The regions, found by name or position."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = tuple(regions)
        self._exact: dict[str, list[Region]] = {}
        self._short: dict[str, list[Region]] = {}
        for region in regions:
            for name in dict.fromkeys(map(plain, (region.id, region.zh, region.en))):
                self._exact.setdefault(name, []).append(region)
            for name in dict.fromkeys(map(_shortened, (region.zh, region.en))):
                self._short.setdefault(name, []).append(region)
        self._tree: shapely.STRtree | None = None

    def named(self, text: str) -> list[Region]:
        """Give the regions of this name; with or without 区, 县, District at its end."""
        return self._exact.get(plain(text)) or self._short.get(_shortened(text)) or []

    def search(self, text: str, *, limit: int = 20) -> list[Region]:
        """Give what could be meant, the likeliest first."""
        wanted = plain(text)
        if not wanted:
            return []
        found = {region.id: region for region in self.named(text)}
        within = [name for name in self._exact if wanted in name]
        # Sorting is stable: the rest of the order is that of the regions.
        for name in sorted(within, key=lambda name: not name.startswith(wanted)):
            found |= {region.id: region for region in self._exact[name]}
        if not found:
            for name in difflib.get_close_matches(wanted, self._exact, n=limit, cutoff=_CLOSE):
                found |= {region.id: region for region in self._exact[name]}
        return list(found.values())[:limit]

    def at(self, longitude: float, latitude: float) -> list[Region]:
        """Give the regions at a position (degrees, WGS 84); the smallest first."""
        if self._tree is None:
            self._tree = shapely.STRtree([region.geometry for region in self.regions])
        hits = self._tree.query(shapely.Point(longitude, latitude), predicate="intersects")
        found = [self.regions[int(index)] for index in hits]
        return sorted(found, key=lambda region: (region.geometry.area, region.id))


def plain(text: str) -> str:
    """Give a name without case, width and spaces."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).casefold()


def _shortened(text: str) -> str:
    name = plain(text)
    short = _ENDINGS.sub("", name)
    return short if len(short) > 1 else name

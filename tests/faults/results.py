"""The table of what the faults did, for the terminal and for ``docs/faults.md``."""

from pathlib import Path

import msgspec

DOCUMENT = Path(__file__).parents[2] / "docs/faults.md"
BEGIN = "<!-- table: written by make faults -->"
END = "<!-- end of table -->"
HEAD = (
    "| fault | times | acknowledged | stored | lost | doubled | foreign | recovery s | worst |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: how often, readings acknowledged and stored under it, and what went wrong.

    foreign: rows with values of another station or another reading. median, worst: seconds of
    recovery. control: of something else than Fenghuo, to show what the fault can do.
    """

    fault: str
    times: int
    acknowledged: int
    stored: int
    lost: int
    doubled: int
    foreign: int
    median: float
    worst: float
    control: bool = False

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, nothing mixed up."""
        return self.control or not (self.lost or self.doubled or self.foreign)

    def line(self) -> str:
        counts = f"{self.acknowledged:,} | {self.stored:,} | {self.lost} | {self.doubled}"
        times = f"{self.median:.1f} | {self.worst:.1f}"
        return f"| {self.fault} | {self.times} | {counts} | {self.foreign} | {times} |"


def update(text: str, rows: list[Row]) -> str:
    """Give the document with these rows in its table; rows of other faults stay."""
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = {_key(line): line for line in old.strip().splitlines()[len(HEAD) :]}
    lines |= {row.fault: row.line() for row in rows}
    table = "\n".join((*HEAD, *lines.values()))
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _key(line: str) -> str:
    return line.split("|")[1].strip()

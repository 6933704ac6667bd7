"""The report card as pictures, PNG and SVG, for a page or a talk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from forecast.verification.card import Card, HazardCard, LevelCard
from forecast.verification.scoring import ScoresMissingError
from server.scoreboard import Scoreboard

COLOURS: Final = {"blue": "#1f77d0", "yellow": "#c9a400", "orange": "#e07b00", "red": "#d02030"}
FONTS: Final = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC", "SimHei",
)  # fmt: skip
"""Fonts with Chinese characters, the first that is there is taken."""

_SHAPES: Final = {"blue": "o", "yellow": "D", "orange": "h", "red": "8"}


def write(card: Card, folder: Path, *, board: Scoreboard) -> list[Path]:
    """Write the plots of every hazard that occurred or was announced; give the files.

    Without a font for Chinese the labels are English. Raises OSError, and ScoresMissingError
    without the extra [verify].
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with _drawing() as chinese:
        draw = _Draw(board if chinese else board.speaking("en"))
        for hazard in card.hazards:
            if not (hazard.score.events or hazard.score.false_alarms):
                continue
            for name, figure in draw.every(hazard):
                for kind, metadata in _METADATA.items():
                    path = folder / f"{hazard.hazard}-{name}.{kind}"
                    figure.savefig(path, dpi=144, metadata=metadata)
                    written.append(path)
    return written


# The same card gives the same bytes.
_METADATA: Final[dict[str, dict[str, Any]]] = {"png": {"Software": None}, "svg": {"Date": None}}


@contextmanager
def _drawing() -> Iterator[bool]:
    """Set the style for a while; tell whether Chinese can be written."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, needed for this alone
        from matplotlib import font_manager  # noqa: PLC0415
    except ImportError as error:
        raise ScoresMissingError("pip install 'fenghuo[verify]'") from error
    there = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in FONTS if name in there][:1]
    style: Any = {
        "font.family": [*found, "DejaVu Sans"],
        "svg.hashsalt": "fenghuo",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(style):
        yield bool(found)


class _Draw:
    """The figures of one hazard, in one language."""

    def __init__(self, board: Scoreboard) -> None:
        self._board = board

    def every(self, hazard: HazardCard) -> Iterator[tuple[str, Any]]:
        """Give each figure with its name."""
        name = self._board.hazard(hazard.hazard)
        levels = [
            level for level in hazard.levels if level.score.events or level.score.false_alarms
        ]
        yield "performance", self._performance(name, levels)
        if any(sum(c.count for c in level.chances.classes[1:]) for level in levels):
            yield "reliability", self._reliability(name, levels)
        yield "months", self._months(name, levels)

    def _figure(self, title: str, *, width: float = 6.4, height: float = 5.0) -> tuple[Any, Any]:
        from matplotlib.figure import Figure  # noqa: PLC0415 - no window, no global state

        figure = Figure(figsize=(width, height))
        axes = figure.subplots()
        axes.set_title(title, loc="left")
        return figure, axes

    def _performance(self, name: str, levels: Sequence[LevelCard]) -> Any:
        """Draw POD against the success ratio, with lines of equal CSI.

        P. J. Roebber, Weather and Forecasting 24, 601 (2009), doi 10.1175/2008WAF2222159.1. Full:
        the rule, hollow: persistence, both of station-moments; small: events.
        """
        figure, axes = self._figure(self._board.word("plot.scores", hazard=name))
        success = np.linspace(0.01, 1, 100)
        x, y = np.meshgrid(success, success)
        lines = axes.contour(
            x, y, 1 / (1 / x + 1 / y - 1), levels=np.arange(0.1, 1, 0.1), colors="#999999",
            linewidths=0.7, zorder=0,
        )  # fmt: skip
        axes.clabel(lines, fmt="%.1f", fontsize=7)
        for level in levels:
            colour, shape = COLOURS[level.level], _SHAPES[level.level]
            label = self._board.level(level.level)
            cases = level.cases
            for part, face, words, size in (
                (level.score, colour, self._board.word("column.events"), 45),
                (cases.rule, colour, self._board.word("plot.rule"), 120),
                (cases.persistence, "none", self._board.word("plot.persistence"), 120),
            ):
                if part is None or part.pod.value is None or part.far.value is None:
                    continue
                axes.scatter(
                    1 - part.far.value, part.pod.value, s=size, marker=shape, facecolor=face,
                    edgecolor=colour, linewidth=1.5, label=f"{label}, {words}", clip_on=False,
                )  # fmt: skip
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel=self._board.word("plot.success"),
            ylabel=self._board.word("plot.pod"),
        )
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        return figure

    def _reliability(self, name: str, levels: Sequence[LevelCard]) -> Any:
        figure, axes = self._figure(self._board.word("plot.reliability", hazard=name))
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for level in levels:
            classes = [c for c in level.chances.classes if c.count and c.mean is not None]
            if len(classes) < 2:
                continue
            axes.plot(
                [c.mean for c in classes], [c.came for c in classes], color=COLOURS[level.level],
                marker=_SHAPES[level.level], label=self._board.level(level.level),
            )  # fmt: skip
            for c in classes[1:]:  # the first are the very many moments of no danger
                axes.annotate(
                    f"{c.count:,}", (c.mean, c.came), fontsize=6, color=COLOURS[level.level],
                    xytext=(4, -8), textcoords="offset points",
                )  # fmt: skip
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            xlabel=self._board.word("plot.said"),
            ylabel=self._board.word("plot.came"),
        )
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        return figure

    def _months(self, name: str, levels: Sequence[LevelCard]) -> Any:
        """Draw events and false alarms of each month, a row of bars for each level."""
        title = self._board.word("plot.months", hazard=name)
        figure, axes = self._figure(title, width=8, height=4)
        months = np.arange(1, 13)
        width = 0.8 / max(len(levels), 1)
        for number, level in enumerate(levels):
            places = months - 0.4 + (number + 0.5) * width
            scores = [level.months.get(str(month)) for month in months]
            hits = np.array([score.hits if score else 0 for score in scores])
            misses = np.array([score.misses if score else 0 for score in scores])
            false = np.array([score.false_alarms if score else 0 for score in scores])
            colour, label = COLOURS[level.level], self._board.level(level.level)
            hit, miss, alarm = (
                f"{label}, {self._board.word(f'plot.{key}')}"
                for key in ("hits", "misses", "false_alarms")
            )
            axes.bar(places, hits, width * 0.9, color=colour, label=hit)
            axes.bar(places, misses, width * 0.9, bottom=hits, facecolor="none", edgecolor=colour,
                     label=miss)  # fmt: skip
            axes.bar(places, -false, width * 0.9, color=colour, alpha=0.35, label=alarm)
        axes.axhline(0, color="#444444", linewidth=0.8)
        axes.set(
            xticks=months, xlabel=self._board.word("plot.month"),
            ylabel=self._board.word("plot.events"),
        )  # fmt: skip
        axes.margins(y=0.08)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        return figure

// One chart of a station: bars for what adds up, lines for the rest, gaps left open.

import uPlot from "uplot";

import { time } from "./format";
import type { Series } from "./types";
import { speech } from "./words.svelte";

export type Curve = {
  element: string;
  label: string;
  unit: string;
  colour: string;
  kind: "bar" | "line" | "dots";
  axis: "left" | "right";
  digits: number;
  floor?: number;
  ceiling?: number;
};

type Gap = readonly [number, number];

/** Lay the series out for the chart; between readings that do not touch, a row of nothing. */
export function columns(series: Series, curves: readonly Curve[]): { data: uPlot.AlignedData; gaps: Gap[] } {
  const times: number[] = [];
  const values: (number | null)[][] = curves.map(() => []);
  const gaps: Gap[] = [];
  let before: number | null = null;
  series.times.forEach((moment, i) => {
    const at = Date.parse(moment) / 1000;
    const interval = series.intervals[i] ?? 60;
    if (before !== null && at - before > 1.5 * interval) {
      gaps.push([before, at - interval]);
      times.push((before + at) / 2);
      for (const column of values) column.push(null);
    }
    times.push(at);
    curves.forEach((curve, k) => values[k]?.push(series.values[curve.element]?.[i] ?? null));
    before = at;
  });
  return { data: [times, ...values], gaps };
}

const INK = "#a9b7c6";
const GRID = "#1d2a37";

function axis(side: 1 | 3, scale: string, curves: readonly Curve[]): uPlot.Axis {
  const own = curves.filter((curve) => (curve.axis === "left") === (side === 3));
  return {
    side,
    scale,
    show: own.length > 0,
    stroke: INK,
    size: 44,
    grid: { show: side === 3, stroke: GRID, width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
}

export class Chart {
  #plot: uPlot;
  #gaps: readonly Gap[] = [];
  #gapText: string;

  constructor(target: HTMLElement, curves: readonly Curve[], options: { sync: string; height: number; gap: string }) {
    this.#gapText = options.gap;
    const range =
      (side: "left" | "right"): uPlot.Scale.Range =>
      (_plot, low, high) => {
        const own = curves.filter((curve) => curve.axis === side);
        const floor = own.find((curve) => curve.floor !== undefined)?.floor;
        const ceiling = own.find((curve) => curve.ceiling !== undefined)?.ceiling;
        const bottom = floor ?? (low ?? 0) - 1;
        return [bottom, ceiling ?? Math.max((high ?? bottom) * 1.08 + 0.2, bottom + (floor === undefined ? 4 : 2))];
      };
    this.#plot = new uPlot(
      {
        width: target.clientWidth,
        height: options.height,
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), speech.zone),
        legend: { show: false },
        cursor: { sync: { key: options.sync }, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { x: { time: true }, left: { range: range("left") }, right: { range: range("right") } },
        axes: [
          {
            stroke: INK,
            grid: { stroke: GRID, width: 1 },
            ticks: { show: false },
            size: 28,
            font: "12px system-ui, sans-serif",
            values: (_plot, splits) =>
              splits.map((at) => {
                const clock = time(at, "time");
                return clock === "00:00" ? time(at, "day") : clock;
              }),
          },
          axis(3, "left", curves),
          axis(1, "right", curves),
        ],
        series: [{}, ...curves.map((curve) => line(curve))],
        hooks: { drawClear: [(plot) => this.#hatch(plot)] },
      },
      [[], ...curves.map(() => [])],
      target,
    );
  }

  set(series: Series, curves: readonly Curve[], from: number, until: number): void {
    const { data, gaps } = columns(series, curves);
    this.#gaps = gaps;
    this.#plot.batch(() => {
      this.#plot.setData(data, true);
      this.#plot.setScale("x", { min: from, max: until });
    });
  }

  /** Tell which row the pointer is at, null when it left. */
  onPoint(tell: (index: number | null) => void): void {
    (this.#plot.hooks.setCursor ??= []).push((plot) => tell(plot.cursor.idx ?? null));
  }

  get times(): readonly number[] {
    return this.#plot.data[0] as number[];
  }

  width(pixels: number): void {
    if (pixels > 0) this.#plot.setSize({ width: pixels, height: this.#plot.height });
  }

  destroy(): void {
    this.#plot.destroy();
  }

  /** What is missing is marked as missing. */
  #hatch(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [from, until] of this.#gaps) {
      const left = plot.valToPos(from, "x", true);
      const width = plot.valToPos(until, "x", true) - left;
      ctx.fillStyle = "#1b242e";
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.strokeStyle = "#2d3a47";
      ctx.lineWidth = 1;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, width, bbox.height);
      ctx.clip();
      ctx.beginPath();
      for (let x = left - bbox.height; x < left + width; x += 9) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
      ctx.fillStyle = INK;
      ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      if (width > ctx.measureText(this.#gapText).width + 8)
        ctx.fillText(this.#gapText, left + width / 2, bbox.top + 16 * devicePixelRatio);
    }
    ctx.restore();
  }
}

function line(curve: Curve): uPlot.Series {
  const shared: uPlot.Series = { label: curve.label, scale: curve.axis, stroke: curve.colour, spanGaps: false };
  if (curve.kind === "bar" && uPlot.paths.bars)
    // A bar ends at the reading's time, as its interval does.
    return { ...shared, fill: curve.colour, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.86, 40, 1], align: -1 }) };
  if (curve.kind === "dots") return { ...shared, width: 0, paths: () => null, points: { show: true, size: 4, fill: curve.colour } };
  return { ...shared, width: 2, points: { show: false } };
}

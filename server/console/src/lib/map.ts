// The map: warned regions, stations, and what they measure. No tiles, no glyphs, no foreign host.

import {
  type ExpressionSpecification,
  type GeoJSONSource,
  Map as MapLibre,
  NavigationControl,
  ScaleControl,
  setWorkerUrl,
  type StyleSpecification,
} from "maplibre-gl";
import worker from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";

import type { Corner } from "./drawing.svelte";
import { level, LEVELS } from "./levels";
import { type Scale, SCALES } from "./scales";
import { type Hand, Sketch } from "./sketch";
import type { Level, OfficeAlert, Row, Station } from "./types";

setWorkerUrl(worker);

const CHOSEN: ExpressionSpecification = ["case", ["boolean", ["get", "chosen"], false], "#b8c9da", "#34455a"];
const FONT = ["Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif"];
const WRITTEN = 400; // stations whose values are written on the map; beyond it colour says enough

type Point = GeoJSON.Feature<GeoJSON.Point>;

const empty: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
const state = (key: string): ExpressionSpecification => ["feature-state", key];
const stale: ExpressionSpecification = ["boolean", state("stale"), true];
const chosen: ExpressionSpecification = ["boolean", state("chosen"), false];

function colour(scale: Scale): ExpressionSpecification {
  const value: ExpressionSpecification = ["to-number", state(scale.key), -9999];
  const steps = scale.stops.flatMap(([at, ink], i) => (i === 0 ? [] : [at, ink]));
  return [
    "case",
    stale,
    "#0f151d",
    ["==", value, -9999],
    "#0f151d",
    ["step", value, scale.stops[0]?.[1] ?? "#ffffff", ...steps] as unknown as ExpressionSpecification,
  ];
}

function radius(scale: Scale): ExpressionSpecification {
  const value: ExpressionSpecification = ["to-number", state(scale.key), 0];
  const low = scale.stops[0]?.[0] ?? 0;
  const high = scale.stops.at(-1)?.[0] ?? 1;
  const size = (small: number, large: number): ExpressionSpecification => [
    "interpolate", ["linear"], value, low, small, high, large,
  ];
  return ["interpolate", ["linear"], ["zoom"], 4, size(2, 5), 9, size(7, 15), 13, size(10, 22)];
}

function levels(fallback: string | ExpressionSpecification): ExpressionSpecification {
  const cases = LEVELS.flatMap((name) => [name, level[name].colour]);
  return ["match", ["get", "level"], ...cases, fallback] as unknown as ExpressionSpecification;
}

function style(scale: Scale): StyleSpecification {
  return {
    version: 8,
    sources: {
      grid: { type: "geojson", data: graticule() },
      regions: { type: "geojson", data: empty },
      badges: { type: "geojson", data: empty },
      offices: { type: "geojson", data: empty },
      stations: { type: "geojson", data: empty },
      labels: { type: "geojson", data: empty },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#0b1016" } },
      { id: "grid", type: "line", source: "grid", paint: { "line-color": "#16202b", "line-width": 1 } },
      {
        id: "regions",
        type: "fill",
        source: "regions",
        paint: {
          "fill-color": levels("#17212c"),
          "fill-opacity": ["case", ["has", "level"], 0.3, 0.75],
        },
      },
      {
        id: "borders",
        type: "line",
        source: "regions",
        layout: { "line-sort-key": ["get", "rank"], "line-join": "round" },
        paint: {
          "line-color": levels(CHOSEN),
          "line-width": ["case", ["get", "chosen"], 4, ["has", "level"], 2.5, 1],
        },
      },
      {
        id: "offices",
        type: "line",
        source: "offices",
        layout: { "line-join": "round" },
        paint: { "line-color": levels("#b8c9da"), "line-width": 2, "line-dasharray": [3, 2] },
      },
      {
        id: "stations",
        type: "circle",
        source: "stations",
        paint: {
          "circle-color": colour(scale),
          "circle-radius": radius(scale),
          "circle-stroke-color": ["case", chosen, "#ffffff", stale, "#8593a3", "#05080c"],
          "circle-stroke-width": ["case", chosen, 3, stale, 2, 1],
        },
      },
      {
        id: "labels",
        type: "symbol",
        source: "labels",
        layout: {
          "text-field": [
            "format",
            ["get", "name"], { "font-scale": 0.9 },
            "\n", {},
            ["get", "value"], { "font-scale": 1.05, "text-color": ["case", ["get", "stale"], "#aab6c4", "#ffffff"] },
          ],
          "text-font": FONT,
          "text-size": 13,
          "text-anchor": "left",
          "text-offset": [1.15, 0],
          "text-justify": "left",
          "text-optional": true,
          "symbol-sort-key": ["get", "order"],
          "text-variable-anchor": ["left", "right", "top", "bottom"],
          "text-radial-offset": 1.2,
        },
        paint: { "text-color": "#c3cedb", "text-halo-color": "#0b1016", "text-halo-width": 1.6 },
      },
      {
        // Nothing to see: labels keep clear of what stands above them.
        id: "spots",
        type: "symbol",
        source: "stations",
        layout: { "icon-image": "spot", "icon-allow-overlap": true },
      },
      {
        id: "badges",
        type: "symbol",
        source: "badges",
        layout: {
          "icon-image": ["concat", "level-", ["get", "level"]],
          "icon-allow-overlap": true,
          "icon-size": 0.5,
        },
      },
    ],
  };
}

/** Whole degrees and halves, so that an empty ground still has a measure. */
function graticule(): GeoJSON.FeatureCollection {
  const lines: GeoJSON.Position[][] = [];
  for (let x = -180; x <= 180; x += 1) lines.push([[x, -85], [x, 85]]);
  for (let y = -85; y <= 85; y += 1) lines.push([[-180, y], [180, y]]);
  return {
    type: "FeatureCollection",
    features: [
      { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } },
    ],
  };
}

export type Label = { name: string; value: string; stale: boolean };

export class WeatherMap {
  readonly map: MapLibre;
  #ids = new Map<string, number>();
  #stations: Station[] = [];
  #chosen: number | null = null;
  #regions: GeoJSON.FeatureCollection | null = null;
  #moved = false; // by hand: then the frame is left alone
  #sketch: Sketch | null = null;

  constructor(container: HTMLElement, choose: (station: string) => void, hand: Hand, ready: () => void) {
    this.map = new MapLibre({
      container,
      style: style(SCALES[0] as Scale),
      center: [116.4, 40],
      zoom: 7,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      fadeDuration: 0,
      localIdeographFontFamily: FONT.join(", "),
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), "bottom-right");
    this.map.addControl(new ScaleControl({ unit: "metric" }), "bottom-right");
    this.map.on("click", "stations", (event) => {
      const name = event.features?.[0]?.properties["name"] as string | undefined;
      if (name && !this.#sketch?.active) choose(name);
    });
    for (const [moment, cursor] of [["mouseenter", "pointer"], ["mouseleave", ""]] as const)
      this.map.on(moment, "stations", () => {
        if (!this.#sketch?.active) this.map.getCanvas().style.cursor = cursor;
      });
    this.map.on("movestart", (event) => (this.#moved ||= "originalEvent" in event));
    this.map.on("resize", () => {
      if (!this.#moved) this.home(this.#regions);
    });
    this.map.on("load", () => {
      for (const name of LEVELS) this.map.addImage(`level-${name}`, badge(name), { pixelRatio: 2 });
      this.map.addImage("spot", new ImageData(22, 22));
      this.#sketch = new Sketch(this.map, hand);
      ready();
    });
  }

  /** One feature per station with a place; its values come and go as feature state. */
  places(stations: Iterable<Station>): void {
    this.#stations = [...stations].filter((s) => s.longitude !== null && s.latitude !== null);
    this.#ids = new Map(this.#stations.map((station, i) => [station.name, i + 1]));
    this.#source("stations").setData({
      type: "FeatureCollection",
      features: this.#stations.map((station, i) => point(station, i + 1, { name: station.name })),
    });
  }

  /** Frame everything that has a place. */
  home(regions: GeoJSON.FeatureCollection | null): void {
    this.#regions = regions;
    this.#moved = false;
    const points = this.#stations.map((s): GeoJSON.Position => [s.longitude ?? 0, s.latitude ?? 0]);
    for (const feature of regions?.features ?? []) points.push(...corners(feature.geometry));
    const xs = points.map((p) => p[0] ?? 0);
    const ys = points.map((p) => p[1] ?? 0);
    if (points.length === 0) return;
    const min = (all: number[]) => all.reduce((a, b) => Math.min(a, b));
    const max = (all: number[]) => all.reduce((a, b) => Math.max(a, b));
    this.map.fitBounds([min(xs), min(ys), max(xs), max(ys)], {
      padding: { top: 74, bottom: 84, left: 30, right: 60 },
      maxZoom: 10,
      duration: 0,
    });
  }

  show(scale: Scale): void {
    this.map.setPaintProperty("stations", "circle-color", colour(scale));
    this.map.setPaintProperty("stations", "circle-radius", radius(scale));
  }

  /** Put the values of one station on the map. */
  value(name: string, row: Row, fields: string[], isStale: boolean): void {
    const id = this.#ids.get(name);
    if (id === undefined) return;
    const values: Record<string, number | boolean | null> = { stale: isStale };
    for (const scale of SCALES) values[scale.key] = row[fields.indexOf(scale.field)] ?? null;
    this.map.setFeatureState({ source: "stations", id }, values);
  }

  labels(write: (station: Station) => Label): void {
    const features = this.#stations.slice(0, WRITTEN).map((station, i) => {
      const label = write(station);
      return point(station, i + 1, { ...label, order: label.stale ? 1 : 0 });
    });
    this.#source("labels").setData({ type: "FeatureCollection", features });
  }

  warned(regions: GeoJSON.FeatureCollection, worst: Map<string, Level>, chosenRegion: string): void {
    const features = regions.features.map((feature) => {
      const found = worst.get(String(feature.id));
      const marked = feature.id === chosenRegion;
      const rank = (found ? LEVELS.indexOf(found) : -1) + (marked ? 10 : 0);
      const properties = { ...feature.properties, rank, chosen: marked, ...(found ? { level: found } : {}) };
      return { ...feature, properties };
    });
    this.#source("regions").setData({ type: "FeatureCollection", features });
    const badges = features.flatMap((feature): Point[] =>
      "level" in feature.properties
        ? [{ type: "Feature", properties: feature.properties, geometry: { type: "Point", coordinates: top(feature.geometry) } }]
        : [],
    );
    this.#source("badges").setData({ type: "FeatureCollection", features: badges });
  }

  /** Outline what other offices warn of. */
  offices(alerts: OfficeAlert[]): void {
    const features = alerts.flatMap((alert): GeoJSON.Feature[] =>
      alert.area ? [{ type: "Feature", properties: alert.level ? { level: alert.level } : {}, geometry: alert.area }] : [],
    );
    this.#source("offices").setData({ type: "FeatureCollection", features });
  }

  choose(name: string): void {
    if (this.#chosen !== null)
      this.map.setFeatureState({ source: "stations", id: this.#chosen }, { chosen: false });
    this.#chosen = this.#ids.get(name) ?? null;
    if (this.#chosen === null) return;
    this.map.setFeatureState({ source: "stations", id: this.#chosen }, { chosen: true });
  }

  /** Show what is drawn by hand. */
  sketch(corners: Corner[], closed: boolean, active: boolean): void {
    this.#sketch?.show(corners, closed, active);
  }

  /** Go to a place, unless it is in view. */
  reveal(to: GeoJSON.Position): void {
    if (this.map.getBounds().contains([to[0] ?? 0, to[1] ?? 0])) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.easeTo({ center: [to[0] ?? 0, to[1] ?? 0], duration: still ? 0 : 600 });
  }

  remove(): void {
    this.map.remove();
  }

  #source(name: string): GeoJSONSource {
    return this.map.getSource(name) as GeoJSONSource;
  }
}

export function middle(geometry: GeoJSON.Geometry): GeoJSON.Position {
  const points = corners(geometry);
  const mean = (axis: number) =>
    points.reduce((sum, p) => sum + (p[axis] ?? 0), 0) / Math.max(1, points.length);
  return [mean(0), mean(1)];
}

/** The northernmost point: a badge there hides no station. */
function top(geometry: GeoJSON.Geometry): GeoJSON.Position {
  const points = corners(geometry);
  return points.reduce((a, b) => ((b[1] ?? 0) > (a[1] ?? 0) ? b : a), points[0] ?? [0, 0]);
}

function corners(geometry: GeoJSON.Geometry): GeoJSON.Position[] {
  if (geometry.type === "Polygon") return geometry.coordinates[0]?.slice(1) ?? [];
  if (geometry.type === "MultiPolygon") return geometry.coordinates.flatMap((p) => p[0]?.slice(1) ?? []);
  return [];
}

function point(station: Station, id: number, properties: Record<string, unknown>): Point {
  const coordinates = [station.longitude ?? 0, station.latitude ?? 0];
  return { type: "Feature", id, properties, geometry: { type: "Point", coordinates } };
}

/** Draw a level's shape with its numeral. */
function badge(name: Level): ImageData {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 104;
  const pen = canvas.getContext("2d") as CanvasRenderingContext2D;
  pen.scale(3, 3);
  pen.translate(1.33, 1.33);
  const shape = new Path2D(level[name].path);
  pen.fillStyle = level[name].colour;
  pen.fill(shape);
  pen.lineWidth = 1.5;
  pen.strokeStyle = "#05080c";
  pen.stroke(shape);
  pen.fillStyle = level[name].ink;
  pen.font = "700 12px Georgia, 'Times New Roman', serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(level[name].numeral, 16, 16.8);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

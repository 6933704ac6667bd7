// The area drawn by hand, on the map: a click or Enter sets a corner, one on the first corner closes.

import type { GeoJSONSource, Map as MapLibre, MapMouseEvent } from "maplibre-gl";

import type { Corner } from "./drawing.svelte";

const NEAR = 12; // pixels round the first corner that count as it
const INK = "#ffffff";

export type Hand = { add: (corner: Corner) => void; close: () => void; undo: () => void };

export class Sketch {
  #map: MapLibre;
  #hand: Hand;
  #corners: Corner[] = [];
  #active = false;

  constructor(map: MapLibre, hand: Hand) {
    this.#map = map;
    this.#hand = hand;
    map.addSource("sketch", { type: "geojson", data: collection([], false) });
    map.addLayer({
      id: "sketch",
      type: "fill",
      source: "sketch",
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": INK, "fill-opacity": 0.14 },
    });
    map.addLayer({
      id: "sketch-line",
      type: "line",
      source: "sketch",
      filter: ["!=", ["geometry-type"], "Point"],
      paint: { "line-color": INK, "line-width": 2.5, "line-dasharray": [2, 1.2] },
    });
    map.addLayer({
      id: "sketch-corners",
      type: "circle",
      source: "sketch",
      filter: ["==", ["geometry-type"], "Point"],
      paint: {
        "circle-radius": ["case", ["get", "first"], 7, 5],
        "circle-color": INK,
        "circle-stroke-color": "#05080c",
        "circle-stroke-width": 2,
      },
    });
    map.on("click", (event) => this.#click(event));
    map.getCanvas().addEventListener("keydown", (event) => this.#key(event));
  }

  show(corners: Corner[], closed: boolean, active: boolean): void {
    this.#corners = corners;
    this.#active = active;
    (this.#map.getSource("sketch") as GeoJSONSource).setData(collection(corners, closed));
    const canvas = this.#map.getCanvas();
    canvas.style.cursor = active ? "crosshair" : "";
    if (active) this.#map.doubleClickZoom.disable();
    else this.#map.doubleClickZoom.enable();
  }

  get active(): boolean {
    return this.#active;
  }

  #click(event: MapMouseEvent): void {
    if (!this.#active) return;
    const first = this.#corners[0];
    const near = first && this.#map.project(first).dist(event.point) < NEAR;
    if (near && this.#corners.length > 2) this.#hand.close();
    else if (!near) this.#hand.add([event.lngLat.lng, event.lngLat.lat]);
  }

  /** Arrow keys move the map below its middle, where Enter sets a corner. */
  #key(event: KeyboardEvent): void {
    if (!this.#active) return;
    const middle = this.#map.getCenter();
    if (event.key === "Enter") this.#hand.add([middle.lng, middle.lat]);
    else if (event.key === "Backspace") this.#hand.undo();
    else return;
    event.preventDefault();
  }
}

function collection(corners: Corner[], closed: boolean): GeoJSON.FeatureCollection {
  const features: GeoJSON.Feature[] = corners.map((coordinates, i) => ({
    type: "Feature",
    properties: { first: i === 0 },
    geometry: { type: "Point", coordinates },
  }));
  const first = corners[0];
  if (closed && first)
    features.push({ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [[...corners, first]] } });
  else if (corners.length > 1)
    features.push({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: corners } });
  return { type: "FeatureCollection", features };
}

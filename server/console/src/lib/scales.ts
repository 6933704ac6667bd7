// What the map can show of a station: the field of the reading, its classes and their colours.
// The ramps are ordered in lightness, so that they read without colour too.

export type Scale = {
  key: string;
  field: string;
  element: string;
  digits: number;
  stops: readonly (readonly [number, string])[];
};

const RAIN = ["#33465c", "#2f6ea3", "#28a0b8", "#5ccfa6", "#c6ee8f", "#fffbd1"] as const;

function stops(values: readonly number[], colours: readonly string[]): (readonly [number, string])[] {
  return values.map((value, i) => [value, colours[i] ?? "#ffffff"] as const);
}

export const SCALES: readonly Scale[] = [
  {
    key: "rain_1h",
    field: "precipitation_amount_1h",
    element: "precipitation_amount",
    digits: 1,
    stops: stops([0, 0.1, 5, 10, 20, 50], RAIN),
  },
  {
    key: "rain_3h",
    field: "precipitation_amount_3h",
    element: "precipitation_amount",
    digits: 1,
    stops: stops([0, 0.1, 10, 25, 50, 100], RAIN),
  },
  {
    key: "temperature",
    field: "air_temperature",
    element: "air_temperature",
    digits: 1,
    stops: stops(
      [-20, -5, 5, 15, 25, 35],
      ["#4b4a9c", "#3f78c4", "#4aa9b5", "#8fc58b", "#e8c95f", "#ffe9d0"],
    ),
  },
  {
    key: "wind",
    field: "wind_speed",
    element: "wind_speed",
    digits: 1,
    stops: stops([0, 2, 5, 10, 17, 25], ["#3b4658", "#5a6fa0", "#7f8fd0", "#ab9fe8", "#dcb7f2", "#fff0ff"]),
  },
  {
    key: "humidity",
    field: "relative_humidity",
    element: "relative_humidity",
    digits: 0,
    stops: stops([0, 30, 50, 70, 85, 100], ["#6b5638", "#8f7a4a", "#8d9a72", "#6fb3a3", "#7fd3d8", "#d8f6ff"]),
  },
];

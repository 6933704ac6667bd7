// The four levels: a colour, and beside it a numeral and a shape for eyes that do not part colours.

import type { Level } from "./types";

export const LEVELS: readonly Level[] = ["blue", "yellow", "orange", "red"];

export const level: Record<Level, { colour: string; ink: string; numeral: string; path: string }> = {
  blue: { colour: "#4aa8ff", ink: "#04121f", numeral: "IV", path: circle() },
  yellow: { colour: "#ffdf4d", ink: "#1d1800", numeral: "III", path: polygon(4, 0) },
  orange: { colour: "#ff9b2f", ink: "#1f0f00", numeral: "II", path: polygon(6, 0) },
  red: { colour: "#ff5a64", ink: "#220003", numeral: "I", path: polygon(8, Math.PI / 8) },
};

function circle(): string {
  return "M16 1.5a14.5 14.5 0 1 0 .01 0z";
}

function polygon(corners: number, turn: number): string {
  const radius = corners === 4 ? 15.6 : 15;
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners - Math.PI / 2 + turn;
    return `${(16 + radius * Math.cos(angle)).toFixed(2)} ${(16 + radius * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${points.join("L")}z`;
}

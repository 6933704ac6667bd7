// Times in the bureau's zone, ages and numbers, as people read them.

import { speech, t } from "./words.svelte";

type Style = "time" | "day" | "short" | "full";

const formats = new Map<string, Intl.DateTimeFormat>();

/** Local time in the digits and the order of ISO 8601, which read the same in both languages. */
export function time(moment: string | number, style: Style = "short"): string {
  let format = formats.get(speech.zone);
  if (!format) {
    format = new Intl.DateTimeFormat("sv-SE", {
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
      timeZone: speech.zone,
    });
    formats.set(speech.zone, format);
  }
  // 2016-07-20 12:00
  const text = format.format(typeof moment === "number" ? moment * 1000 : new Date(moment));
  if (style === "full") return text;
  if (style === "short") return text.slice(5);
  return style === "day" ? text.slice(5, 10) : text.slice(11);
}

export const seconds = (moment: string): number => Date.parse(moment) / 1000;

export function age(span: number): string {
  const n = Math.max(0, Math.round(span));
  if (n < 90) return t("age.seconds", { n });
  if (n < 5400) return t("age.minutes", { n: Math.round(n / 60) });
  if (n < 172_800) return t("age.hours", { n: Math.round(n / 3600) });
  return t("age.days", { n: Math.round(n / 86_400) });
}

export function window_(span: number): string {
  return span % 3600 === 0
    ? t("evidence.hours", { n: span / 3600 })
    : t("evidence.minutes", { n: Math.round(span / 60) });
}

export function number(value: number | null | undefined, digits = 1): string {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

/** What a field for a moment holds: the time in the bureau's zone. */
export const local = (moment: string | number): string => time(moment, "full");

const asUtc = (text: string): number => seconds(`${text.trim().replace(" ", "T")}Z`);

export const isMoment = (text: string): boolean =>
  /^\d{4}-\d\d-\d\d \d\d:\d\d$/.test(text.trim()) && !Number.isNaN(asUtc(text));

/** And back, as UTC. */
export function instant(text: string): string {
  const there = asUtc(text);
  const offset = asUtc(local(there)) - there;
  return `${new Date((there - offset) * 1000).toISOString().slice(0, 19)}Z`;
}

/** What is left, as a clock that runs down: 1:02:03, or 04:05. */
export function left(span: number): string {
  const n = Math.max(0, Math.ceil(span));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(n / 3600), Math.floor(n / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(n % 60)}` : `${two(minutes)}:${two(n % 60)}`;
}

// What the server says: the shapes of /api/v1 and of /stream.

export type Language = "zh" | "en";
export type Named = { zh: string; en: string };
export type Level = "blue" | "yellow" | "orange" | "red";

export type Words = { [key: string]: string | Words };

export type Catalogue = {
  zone: string;
  agency: Named;
  words: Record<Language, Words>;
};

export type Element = Named & { name: string; unit: string; aggregate: string };

export type Station = Named & {
  name: string;
  longitude: number | null;
  latitude: number | null;
  elevation: number | null;
};

export type Evidence = Named & {
  station: string;
  element: string;
  statistic: string;
  window: number;
  value: number | null;
  threshold: number;
  comparison: string;
  probability: number | null;
  time: string;
};

export type Message = {
  id: string;
  act: string;
  level: Level;
  door: string;
  sent: string;
  cap: string;
};

export type Warning = {
  id: string;
  hazard: string;
  region: Named & { id: string };
  level: Level;
  door: string;
  exercise: boolean;
  opened: string;
  since: string;
  expires: string;
  ended: string | null;
  evidence: Evidence[];
  messages: Message[];
};

export type Proposal = {
  id: string;
  hazard: string;
  region: Named & { id: string };
  level: Level;
  door: string;
  standing: "sound" | "lone" | "doubtful";
  since: string;
  onset: string;
  lead: number;
  probability: number | null;
  evidence: Evidence[];
  reason: Record<Language, string>;
};

export type Phone = {
  id: string;
  recipient: number;
  name: string;
  address: string;
  language: string;
  body: string;
  segments: number;
  state: string;
  sent: string;
  level: Level;
  region: string;
};

export type Clock = {
  now: string;
  event: (Named & { start: string; end: string; time: string }) | null;
};

export type Row = (number | null)[];
export type Readings = { fields: string[]; stations: Record<string, Row> };

export type Snapshot = {
  clock: Clock;
  readings: Readings;
  warnings: Warning[];
  phone: Phone[];
};

export type Series = {
  times: string[];
  intervals: number[];
  values: Record<string, (number | null)[]>;
  quality: Record<string, (number | null)[]>;
};

export type Place = Named & { id: string };

export type LevelScore = {
  hazard: string;
  level: Level;
  within: number;
  events: number;
  before: number;
  during: number;
  missed: number;
  warnings: number;
  false_alarms: number;
  pod: number | null;
  far: number | null;
  csi: number | null;
  lead: number | null;
};

export type Spell = { hazard: string; level: Level; region: Place; begin: string; end: string };

export type Verification = {
  start: string;
  end: string;
  readings: number;
  exercise: boolean;
  gap: number;
  levels: LevelScore[];
  events: (Spell & { warned: string | null; lead: number })[];
  false_alarms: Spell[];
};

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
  quality?: number;
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
  way: string;
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

// Who sits at the desk, and what they do there.

export type Role = "forecaster" | "approver" | "officer" | "admin";

export type Person = { id: number; name: string; title: string; roles: Role[]; regions: string[] };

/** first: there is no account at all yet. */
export type SessionAnswer = { person: Person | null; first: boolean; until: string | null };

/** What a link that works once is for; name: whose password it sets, none for the first of all. */
export type Link = { kind: string; name: string | null; title: string | null; expires: string; shortest: number };

export type Area = { type: "Polygon"; coordinates: [number, number][][] };

export type Own = { headline: string; description: string; instruction: string; sms: string };

/** by: whoever asks for it; empty: the watch. */
export type Suggestion = { act: string; level: Level; by?: string; note?: string; reason?: Partial<Record<Language, string>> | null };

/** An event as the desk holds it: nobody has heard of it yet, or it is in force, or it is over. */
export type Incident = {
  id: string;
  version: number;
  hazard: string;
  region: Named & { id: string };
  state: string;
  level: Level;
  door: string;
  exercise: boolean;
  opened: string;
  since: string;
  onset?: string | null;
  until?: string | null;
  expires?: string | null;
  ended?: string | null;
  lead?: number;
  standing?: Proposal["standing"];
  probability?: number | null;
  evidence: Evidence[];
  reason?: Partial<Record<Language, string>>;
  author?: string | null;
  approver?: string | null;
  veto_until?: string | null;
  text?: Partial<Record<Language, Partial<Own>>> | null;
  area?: Area | null;
  note?: string | null;
  led?: "watch" | "hand";
  suggestion?: Suggestion | null;
  remaining?: number | null;
  reminded?: boolean;
  may?: string[];
  notices?: { number: number; level: Level; at: string; withdrawn: boolean }[];
  messages?: Message[];
};

/** What was done; watch: no person did it. */
export type Deed = { version: number; act: string; level: Level; watch: boolean; name: string; note: string; at: string };

export type Counts = Record<string, number>;

export type MessageProgress = {
  id: string;
  number: number;
  act: string;
  channels: Record<string, Counts>;
  tiers: Record<string, Counts>;
  acknowledged: { name: string | null; hint: string; tier: string; at: string; note: string | null }[];
  rate: number | null;
  remaining_seconds: number | null;
};

/** A group of officers of which nobody has answered. */
export type Silent = { warning: string; message: string; group: string; people: number; since: string };

export type Preview = {
  texts: Record<string, Record<string, { subject: string; body: string; segments: number }>>;
  recipients: Record<string, Counts>;
  people: number | null;
};

/** Whom an area drawn by hand would reach; counted: whether every part's people are known. */
export type Reach = {
  parts: (Named & { region: string; share: number; people: number | null })[];
  stations: string[];
  people: number | null;
  counted: boolean;
};

// Administration.

export type Account = {
  id: number;
  name: string;
  title: string;
  roles: Role[];
  regions: string[];
  added: string;
  disabled: string | null;
  ready: boolean;
  seen: string | null;
};

export type AuditRow = { id: number; at: string; name: string; act: string; subject: string; detail: Record<string, unknown>; digest: string };

export type Screen = {
  name: string;
  kind: "display" | "broadcast";
  title: string;
  language: string;
  lowest: Level;
  hazards: string[];
  regions: string[];
  state: string;
  shown: string[];
  age: number | null;
  alive: boolean;
};

export type Silence = {
  id: number;
  hazards: string[];
  regions: string[];
  levels: string[];
  tiers: string[];
  owner: string;
  reason: string;
  since: string;
  until: string;
  lifted: string | null;
  lifter: string | null;
  active: boolean;
};

/** version: none where the settings' file counts. */
export type PolicyText = { version: number | null; text: string };

/** ok: none where nobody has asked the channel. */
export type ChannelHealth = {
  name: string;
  ok: boolean | null;
  detail: string;
  at: string | null;
  fallback?: boolean;
  queued?: number;
  sending?: number;
  uncertain?: number;
  handed?: string | null;
};

// Other offices.

export type OfficeAlert = {
  id: number;
  source_name: string;
  sent: string;
  until: string;
  status: string;
  accepted: boolean;
  infos: { language: string; event: string; headline: string; areas: string[] }[];
  level: Level | null;
  area: GeoJSON.Geometry | null;
};

export type OfficeSource = { id: number; name: string; succeeded: string | null; late: boolean; problem: (Named & { key: string }) | null };

/** Only who is signed in is told of others than the real, public, accepted ones. */
export type Offices = {
  alerts: OfficeAlert[];
  exercises?: OfficeAlert[];
  closed?: OfficeAlert[];
  refused?: OfficeAlert[];
  sources: OfficeSource[];
};

// Those who are told.

export type Subscriber = {
  id: number;
  tier: string;
  name: string;
  post: string;
  groups: string[];
  language: string;
  lowest: Level;
  regions: string[];
  added: string;
  left_at: string | null;
  contacts: { channel: string; hint: string }[];
};

export type Fault = { line: number; column: string; detail: string };

/** What a list says; dry: it was only tried. field: none where a column is not read. */
export type Imported = {
  dry: boolean;
  added: number;
  changed: number;
  refused: number;
  columns: { header: string; field: string | null }[];
  faults: Fault[];
  remarks: Fault[];
};

/** half, tenth: messages that half, and nine of ten, were sent at most. */
export type Spread = {
  tiers: Record<
    string,
    {
      people: number;
      most: number | null;
      half: number | null;
      tenth: number | null;
      classes: { from: number; to: number | null; people: number }[];
      kept: { state: string; reason: string; number: number }[];
    }
  >;
  most: { id: number; tier: string; hint: string; messages: number; last: string }[];
};

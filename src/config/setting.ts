/** What the table of settings (settings.ts) says of each. */
export interface Setting {
  /** The section of the page. */
  readonly group: Group;
  /** One sentence. */
  readonly meaning: string;
  readonly default: string | null;
  /** For the page, when the default depends on something else. */
  readonly defaultInWords?: string;
  /** What an error says was expected. */
  readonly expected: string;
  /** What an error says to do. */
  readonly advice: string;
  readonly unit?: Unit;
  /** Of a whole number. */
  readonly bounds?: Bounds;
  /** Of a text. */
  readonly pattern?: RegExp;
  /** Of a list. */
  readonly itemsMax?: number;
  /** An error about a secret never shows what it got. */
  readonly isSecret?: true;
  /** `quiver.toml` cannot give it. */
  readonly isEnvironmentOnly?: true;
}

export type Group =
  'cluster' | 'api' | 'routers' | 'autoscale' | 'limits' | 'temporal' | 'embedded' | 'metrics' | 'logs' | 'tracing';
type Unit = 'ms' | 's' | 'points' | 'shards' | 'evaluations' | 'connections' | 'keys' | 'bytes' | 'rows';

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export interface IntegerSetting extends Setting {
  readonly bounds: Bounds;
}

interface IntegerRow {
  readonly group: Group;
  readonly meaning: string;
  readonly default: number;
  readonly bounds: Bounds;
  readonly unit: Unit;
}

const NUMBER_WORDS = { ms: 'a whole number of milliseconds', other: 'a whole number' } as const;

export const integer = (row: IntegerRow): IntegerSetting => ({
  ...row,
  default: String(row.default),
  expected: `${NUMBER_WORDS[row.unit === 'ms' ? 'ms' : 'other']} from ${row.bounds.min} to ${row.bounds.max}`,
  advice: `leave it out for ${row.default}`,
});

const PORT_BOUNDS: Bounds = { min: 0, max: 65_535 };
export const embeddedPort = (meaning: string, byDefault: number): IntegerSetting => ({
  group: 'embedded',
  meaning,
  default: String(byDefault),
  bounds: PORT_BOUNDS,
  expected: `a port number from ${PORT_BOUNDS.min} to ${PORT_BOUNDS.max}`,
  advice: `leave it out for ${byDefault}, or give 0 for a free one`,
});

export const DURATION_BOUNDS: Bounds = { min: 0, max: 24 * 60 * 60 * 1_000 };

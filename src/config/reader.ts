import type { Setting } from './setting';
import { SETTINGS, tomlKey, type IntegerName, type MatchedName, type SettingName } from './settings';

/** A setting that the program cannot run with. The message is one line: setting, expected, seen, what to do. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message.replace(/\s*[\r\n]+\s*/g, ' '));
    this.name = 'ConfigError';
  }
}

/** Where settings come from. The environment wins over the file. */
export interface Sources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What `quiver.toml` holds, by its keys, dotted in a table of ours (see `tomlKey`); empty without a file. */
  readonly file: Readonly<Record<string, unknown>>;
  readonly filePath: string | null;
  /** Variables that Kubernetes made of services, and that are ignored. */
  readonly serviceLinks: readonly string[];
}

/** Reads single settings, whichever source they stand in, and words what is wrong with one. */
export class SettingReader {
  private readonly sources: Sources;

  constructor(sources: Sources) {
    this.sources = sources;
  }

  /** The value as its source has it. A blank one in the environment counts as not set, as `NAME= command` means. */
  raw(name: SettingName): unknown {
    const fromEnvironment = this.sources.environment[name];
    if (fromEnvironment !== undefined && fromEnvironment.trim() !== '') return fromEnvironment;
    return this.sources.file[tomlKey(name)];
  }

  text(name: SettingName): string | null {
    const value = this.raw(name);
    if (value === undefined) return SETTINGS[name].default;
    if (typeof value !== 'string') throw this.error(name, value);
    return value.trim();
  }

  /** A text that has the form which the table asks for; null when it is not set and has no default. */
  matching(name: MatchedName): string | null {
    const text = this.text(name);
    if (text === null || SETTINGS[name].pattern.test(text)) return text;
    throw this.error(name, text);
  }

  boolean(name: SettingName): boolean {
    const value = this.raw(name) ?? SETTINGS[name].default;
    const text = typeof value === 'string' ? value.trim().toLowerCase() : value;
    if (text === true || text === 'true' || text === '1') return true;
    if (text === false || text === 'false' || text === '0') return false;
    throw this.error(name, value);
  }

  integer(name: IntegerName): number {
    const { bounds } = SETTINGS[name];
    const value = this.raw(name) ?? SETTINGS[name].default;
    const number = typeof value === 'string' && /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= bounds.min && number <= bounds.max) {
      return number;
    }
    throw this.error(name, value);
  }

  /** A list as TOML has it, or as text: `[a,b]`, `a,b`, each item with or without quotes. */
  list(name: SettingName): readonly unknown[] {
    const value = this.raw(name) ?? SETTINGS[name].default;
    if (Array.isArray(value)) return value as unknown[];
    if (typeof value !== 'string') throw this.error(name, value);
    const text = value.trim();
    const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
    if (inner.trim() === '') return [];
    return inner.split(',').map((item) => item.trim().replace(/^(["'])(.*)\1$/, '$2'));
  }

  textList(name: SettingName): readonly string[] {
    return this.list(name).map((item) => {
      if (typeof item === 'string' && item.trim() !== '') return item.trim();
      throw this.error(name, item, 'an empty or non-text item');
    });
  }

  /** `seen` says in words what was there when the value itself must or should not be shown. */
  error(name: SettingName, value: unknown, seen?: string): ConfigError {
    const setting: Setting = SETTINGS[name];
    const inEnvironment = value === undefined || (this.sources.environment[name] ?? '').trim() !== '';
    const where = inEnvironment ? name : `${tomlKey(name)} (${name}) in ${this.sources.filePath ?? 'quiver.toml'}`;
    const got = seen ?? (setting.isSecret ? 'something else' : display(value));
    return new ConfigError(`${where}: expected ${setting.expected}, got ${got}: ${setting.advice}`);
  }
}

const DISPLAYED_CHARACTERS_MAX = 80;

function display(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return `a ${typeof value}`;
  return text.length > DISPLAYED_CHARACTERS_MAX ? `${text.slice(0, DISPLAYED_CHARACTERS_MAX)}…` : text;
}

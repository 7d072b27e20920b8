/** The keys that shards and routers are called with. While keys are changed there are two: the old one and the new one. */
import { KeyFile, type KeyFileOptions } from './key-file';

/** Plain data, so that it can be given to a thread. */
export interface KeySource {
  readonly given: readonly string[];
  /** Its keys come after the given ones. */
  readonly file: string | null;
}

/** One key, none, or several. */
export type Key = string | null | ShardKeys;

const REMEMBERED_MAX = 4_096;

export class ShardKeys {
  readonly source: KeySource;
  readonly #file: KeyFile | null;
  /** By address: the key that follows one which the address refused. */
  readonly #preferred = new Map<string, string>();

  /** @throws KeyFileError */
  constructor(source: KeySource, options: KeyFileOptions = {}) {
    this.source = source;
    this.#file = source.file === null ? null : new KeyFile(source.file, options);
  }

  static of(key: Key | KeySource): ShardKeys {
    if (key instanceof ShardKeys) return key;
    if (typeof key === 'object' && key !== null) return new ShardKeys(key);
    return new ShardKeys({ given: key === null ? [] : [key], file: null });
  }

  /** What the next call to `url` presents; null without any key. */
  keyFor(url: string): string | null {
    const keys = this.#all(false);
    const preferred = this.#preferred.get(url);
    return preferred !== undefined && keys.includes(preferred) ? preferred : (keys[0] ?? null);
  }

  /** The address answered 401 to `key`: the next call presents the one after it. */
  refused(url: string, key: string | null): void {
    const keys = this.#all(true);
    const next = keys[(keys.indexOf(key ?? '') + 1) % keys.length];
    // Another call may have gone on to the next key already.
    if (next === undefined || this.keyFor(url) !== key) return;
    const [oldest] = this.#preferred.keys();
    if (this.#preferred.size >= REMEMBERED_MAX && oldest !== undefined) this.#preferred.delete(oldest);
    this.#preferred.set(url, next);
  }

  #all(isRefused: boolean): readonly string[] {
    const { given } = this.source;
    return this.#file === null ? given : [...given, ...this.#file.keys({ isRefused })];
  }
}

/** Calls `url` with one key after the other, until it answers something else than 401. Nothing is done before a 401. */
export async function withEachKey<T>(
  keys: ShardKeys,
  url: string,
  { call, isUnauthorized }: { call: (key: string | null) => Promise<T>; isUnauthorized: (error: unknown) => boolean },
): Promise<T> {
  const tried = new Set<string | null>();
  for (;;) {
    const key = keys.keyFor(url);
    tried.add(key);
    try {
      return await call(key);
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      keys.refused(url, key);
      if (tried.has(keys.keyFor(url))) throw error;
    }
  }
}

/** Keys from a file, as a secret of Kubernetes or Docker is mounted. They are read again when the file changes. */
import { readFileSync, statSync } from 'node:fs';

/** A changed file is noticed within this time. */
const LOOK_EVERY_MS = 1_000;
/** The same after a refused key, so that a flood of wrong keys does not read the file each time. */
const LOOK_AGAIN_MS = 100;
const BYTES_MAX = 64 * 1024;
const VISIBLE_CHARACTERS = /^[\x21-\x7e]+$/;

/** A file without usable keys. The message never shows what is in it. */
export class KeyFileError extends Error {
  constructor(path: string, seen: string) {
    super(`${path} ${seen}`);
    this.name = 'KeyFileError';
  }
}

export interface KeyFileOptions {
  readonly nowMs?: () => number;
  /** Told once for each trouble with a file that was good before. The keys from before stay. */
  readonly onProblem?: ((reason: string) => void) | undefined;
}

export class KeyFile {
  readonly path: string;
  readonly #nowMs: () => number;
  readonly #onProblem: (reason: string) => void;
  #keys: readonly string[];
  #version: string;
  #lookedAtMs: number;
  #problem: string | null = null;

  /** @throws KeyFileError */
  constructor(path: string, { nowMs = Date.now, onProblem }: KeyFileOptions = {}) {
    this.path = path;
    this.#nowMs = nowMs;
    this.#onProblem = onProblem ?? (() => undefined);
    this.#lookedAtMs = nowMs();
    this.#version = versionOf(path);
    this.#keys = readKeys(path);
  }

  /** The same array as long as the keys are the same. `isRefused`: a key was refused, so the file may be newer. */
  keys({ isRefused = false } = {}): readonly string[] {
    const sinceMs = this.#nowMs() - this.#lookedAtMs;
    if (sinceMs < 0 || sinceMs >= (isRefused ? LOOK_AGAIN_MS : LOOK_EVERY_MS)) this.#look();
    return this.#keys;
  }

  #look(): void {
    this.#lookedAtMs = this.#nowMs();
    try {
      const version = versionOf(this.path);
      if (version === this.#version && this.#problem === null) return;
      const keys = readKeys(this.path);
      if (keys.join('\n') !== this.#keys.join('\n')) this.#keys = keys;
      this.#version = version;
      this.#problem = null;
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error;
      if (error.message !== this.#problem) this.#onProblem(error.message);
      this.#problem = error.message;
    }
  }
}

/** One key a line, or with commas between them. Blanks around a key and blank lines do not count. @throws KeyFileError */
function readKeys(path: string): readonly string[] {
  const text = attempt(path, () => readFileSync(path, 'utf8'));
  if (text.length > BYTES_MAX) throw new KeyFileError(path, `which has more than ${BYTES_MAX} bytes`);
  const keys = text
    .split(/[\r\n,]/)
    .map((key) => key.trim())
    .filter((key) => key !== '');
  if (keys.length === 0) throw new KeyFileError(path, 'which holds no key');
  const bad = keys.findIndex((key) => !VISIBLE_CHARACTERS.test(key));
  if (bad >= 0) throw new KeyFileError(path, `whose key ${bad + 1} holds a blank or another invisible character`);
  return [...new Set(keys)];
}

/** A mounted secret is another file after a change, so its inode counts too. */
function versionOf(path: string): string {
  const { ino, mtimeMs, size } = attempt(path, () => statSync(path));
  return `${ino} ${mtimeMs} ${size}`;
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new KeyFileError(path, `which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`);
  }
}

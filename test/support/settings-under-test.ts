/** The settings, in a folder of the test's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig, type Config } from '../../src/config';

/** In settings that must not be shown, and in no complaint. */
export const SECRET = 'hush-7f3a91';

type Environment = Record<string, string>;

export interface SettingsUnderTest {
  /** Of the test that runs. */
  readonly dir: string;
  /** No settings of the machine that the test runs on: neither a quiver.toml nor a Temporal profile. */
  readonly load: (environment: Environment) => Config;
  /** A quiver.toml with this text. */
  readonly toml: (text: string) => Environment;
  /** The error that the settings end in: one line, whatever is wrong. */
  readonly complaint: (environment: Environment) => string;
}

/** To be called at the top of a file. */
export function settingsUnderTest(): SettingsUnderTest {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'config-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const load = (environment: Environment): Config =>
    loadConfig({ QUIVER_INSECURE: 'true', TEMPORAL_CONFIG_FILE: join(dir, 'none.toml'), ...environment });
  return {
    get dir() {
      return dir;
    },
    load,
    toml: (text) => {
      const path = join(dir, 'quiver.toml');
      writeFileSync(path, text);
      return { QUIVER_CONFIG: path };
    },
    complaint: (environment) => {
      try {
        load(environment);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        const { message } = error as ConfigError;
        expect(message).not.toMatch(/[\r\n]/);
        expect(message).not.toContain(SECRET);
        return message;
      }
      throw new Error('expected the settings to be refused');
    },
  };
}

/** What the command line reads from the environment. The service accepts the names and ignores them: both may run in one shell. */
import { readFileSync } from 'node:fs';
import { ConfigError } from './reader';

interface ClientSetting {
  /** One sentence. */
  readonly meaning: string;
  readonly default: string | null;
}

export const CLIENT_SETTINGS = {
  COORDINATOR_URL: {
    meaning: 'The address of the coordinator that a command talks to.',
    default: 'http://127.0.0.1:6333',
  },
  COORDINATOR_KEY: { meaning: 'The key that a command presents.', default: null },
  COORDINATOR_KEY_FILE: { meaning: 'A file whose first line is the key that a command presents.', default: null },
} as const satisfies Record<string, ClientSetting>;

export interface ClientConfig {
  /** Without a slash at its end. */
  readonly url: string;
  /** Null: calls go out without a key. */
  readonly key: string | null;
  /** The file that the key comes from, or null. */
  readonly keyFile: string | null;
}

const VISIBLE_CHARACTERS = /^[\x21-\x7e]+$/;
const KEY_FILE_BYTES_MAX = 64 * 1024;

/**
 * `given` are options of the command line, and win over the environment. A key is never one of them: other users of the machine see the
 * arguments of a process. @throws ConfigError
 */
export function loadClientConfig(
  environment: Readonly<Record<string, string | undefined>>,
  given: { readonly url?: string | undefined; readonly keyFile?: string | undefined } = {},
): ClientConfig {
  const named = (name: keyof typeof CLIENT_SETTINGS): string | null => environment[name]?.trim() || null;
  const url = readUrl(given.url ?? named('COORDINATOR_URL') ?? CLIENT_SETTINGS.COORDINATOR_URL.default);
  const key = named('COORDINATOR_KEY');
  const keyFile = given.keyFile ?? named('COORDINATOR_KEY_FILE');
  if (key !== null && keyFile !== null && given.keyFile === undefined) {
    throw new ConfigError(
      'COORDINATOR_KEY: expected either it or COORDINATOR_KEY_FILE, got both: leave one of them out',
    );
  }
  if (keyFile !== null) return { url, key: readKeyFile(keyFile), keyFile };
  if (key !== null && !VISIBLE_CHARACTERS.test(key)) {
    throw new ConfigError('COORDINATOR_KEY: expected visible characters without a blank, got others: correct it');
  }
  return { url, key, keyFile: null };
}

function readUrl(text: string): string {
  const refuse = (seen: string): never => {
    throw new ConfigError(
      `COORDINATOR_URL: expected http://<host>:<port> or https://…, got ${seen}: give for instance ${CLIENT_SETTINGS.COORDINATOR_URL.default}`,
    );
  };
  const url = URL.canParse(text) ? new URL(text) : refuse('something else');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse(`one that begins with ${url.protocol}`);
  if (url.username !== '' || url.password !== '') return refuse('one with a user or a password in it');
  if (url.search !== '' || url.hash !== '') return refuse('one with a query or a fragment');
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function readKeyFile(path: string): string {
  const refuse = (seen: string): never => {
    throw new ConfigError(
      `COORDINATOR_KEY_FILE: expected the path of a file whose first line is a key, got ${path} ${seen}: correct the path or the file`,
    );
  };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return refuse(`which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`);
  }
  if (text.length > KEY_FILE_BYTES_MAX) return refuse(`which has more than ${KEY_FILE_BYTES_MAX} bytes`);
  const [key] = text.split(/[\r\n,]/).flatMap((line) => line.trim() || []);
  if (key === undefined) return refuse('which holds no key');
  if (!VISIBLE_CHARACTERS.test(key)) return refuse('whose key holds a blank or another invisible character');
  return key;
}

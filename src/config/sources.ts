/** The environment and `quiver.toml` as they are, and the check that no name in them is mistyped. */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { CLIENT_SETTINGS } from './client-settings';
import { ConfigError, type Sources } from './reader';
import { AUTOSCALE_TABLE, SETTINGS, tomlKey } from './settings';

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_FILE = 'quiver.toml';

/** The file that `QUIVER_CONFIG` names must be there; `./quiver.toml` need not. */
export function readSources(given: Environment): Sources {
  const { environment, serviceLinks } = withoutServiceLinks(given);
  const named = environment['QUIVER_CONFIG']?.trim() ?? '';
  const path = named === '' ? DEFAULT_FILE : named;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    if (named === '' && code === 'ENOENT') return { environment, file: {}, filePath: null, serviceLinks };
    throw new ConfigError(
      `QUIVER_CONFIG: expected the path of a readable TOML file, got ${path} (${code}): correct the path, or leave it out for ./${DEFAULT_FILE}`,
    );
  }
  try {
    return { environment, file: withDottedKeys(parse(text)), filePath: path, serviceLinks };
  } catch (error) {
    // The parser's own message quotes the lines around the mistake, and those may hold a key.
    const where = error instanceof TomlError ? `line ${error.line}, column ${error.column}` : 'some line';
    throw new ConfigError(`QUIVER_CONFIG: expected TOML, got a mistake in ${path} at ${where}: correct that line`);
  }
}

/** What stands in the table `[autoscale]`, as `autoscale.<key>`: `tomlKey` names it so. */
function withDottedKeys(file: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const table = file[AUTOSCALE_TABLE];
  if (typeof table !== 'object' || table === null || Array.isArray(table)) return file;
  const dotted = Object.entries(table).map(([key, value]): [string, unknown] => [`${AUTOSCALE_TABLE}.${key}`, value]);
  const { [AUTOSCALE_TABLE]: _table, ...rest } = file;
  return { ...rest, ...Object.fromEntries(dotted) };
}

/** Quiver's own keys of `quiver.toml` that begin like ours. */
const QUIVER_OWN_FILE_KEYS: readonly string[] = ['coordinator', 'coordinator_state', 'coordinator_url'];

/**
 * Kubernetes gives every container variables like these for each service of its namespace. For a service called
 * `coordinator-api` they begin with COORDINATOR_API_.
 */
const SERVICE_LINK = /^COORDINATOR_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/;
/** One of them may bear the name of a setting, as COORDINATOR_TEMPORAL_PORT does. Its value tells it from the setting. */
const SERVICE_PORT = /^COORDINATOR_(?:\w+_)?PORT$/;
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//i;

function isServiceLink(name: string, value = ''): boolean {
  return SERVICE_LINK.test(name) || (SERVICE_PORT.test(name) && SERVICE_ADDRESS.test(value.trim()));
}

/** The environment without the variables that Kubernetes made of services, and the names of those. */
function withoutServiceLinks(environment: Environment): { environment: Environment; serviceLinks: readonly string[] } {
  const isLink = ([name, value]: [string, string | undefined]): boolean => isServiceLink(name, value);
  const links = Object.entries(environment).filter(isLink);
  if (links.length === 0) return { environment, serviceLinks: [] };
  const rest = Object.entries(environment).filter((entry) => !isLink(entry));
  return { environment: Object.fromEntries(rest), serviceLinks: links.map(([name]) => name).sort() };
}

/** A mistyped name would silently mean its default. Names that begin with QUIVER_ are not checked: Quiver has more of them. */
export function refuseUnknownNames(sources: Sources): void {
  const known = Object.keys(SETTINGS).filter((name) => name.startsWith('COORDINATOR_'));
  for (const name of Object.keys(sources.environment)) {
    if (!name.startsWith('COORDINATOR_') || known.includes(name) || Object.hasOwn(CLIENT_SETTINGS, name)) continue;
    throw new ConfigError(`${name}: expected a known setting, got a name that is none: use one of ${known.join(', ')}`);
  }
  const isOurs = (key: string): boolean => key.startsWith('coordinator_') || key.split('.', 1)[0] === AUTOSCALE_TABLE;
  const knownKeys = Object.keys(SETTINGS).map(tomlKey).filter(isOurs);
  for (const key of Object.keys(sources.file)) {
    if (!isOurs(key) || knownKeys.includes(key) || QUIVER_OWN_FILE_KEYS.includes(key)) continue;
    throw new ConfigError(
      `${key} in ${sources.filePath ?? DEFAULT_FILE}: expected a known setting, got a name that is none: use one of ${knownKeys.join(', ')}`,
    );
  }
}

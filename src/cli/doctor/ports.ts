/** The ports that a coordinator on this machine needs, where none answers. One that another program holds keeps it from starting. */
import { connect } from 'node:net';
import { SETTINGS } from '../../config/settings';
import { bad, good, type Finding } from './findings';
import { isLocal } from './local';

const CONNECT_TIMEOUT_MS = 1_000;

interface Port {
  readonly host: string;
  readonly port: number;
  readonly of: string;
  /** What names another one. */
  readonly setting: string;
}

/** Nothing where the coordinator is to run on another machine. */
export async function lookAtPorts(
  environment: Readonly<Record<string, string | undefined>>,
  url: string,
): Promise<Finding[]> {
  if (!isLocal(url)) return [];
  return await Promise.all(portsOf(environment, url).map(lookAtPort));
}

function portsOf(environment: Readonly<Record<string, string | undefined>>, url: string): readonly Port[] {
  const text = (name: string): string => environment[name]?.trim() ?? '';
  const { hostname, port, protocol } = new URL(url);
  const api = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    of: 'the API',
    setting: 'QUIVER_REST_ADDR',
  };
  const own = (name: 'COORDINATOR_TEMPORAL_PORT' | 'COORDINATOR_TEMPORAL_UI_PORT', of: string): Port => ({
    host: '127.0.0.1',
    port: Number(text(name) || SETTINGS[name].default),
    of,
    setting: name,
  });
  // With an address it starts none of its own.
  const ofTemporal =
    text('TEMPORAL_ADDRESS') !== ''
      ? []
      : [
          own('COORDINATOR_TEMPORAL_PORT', 'its Temporal'),
          own('COORDINATOR_TEMPORAL_UI_PORT', 'the Web UI of its Temporal'),
        ];
  const [, metrics] = /:(\d{1,5})$/.exec(text('COORDINATOR_METRICS_ADDR')) ?? [];
  const ofMetrics =
    metrics === undefined
      ? []
      : [{ host: '127.0.0.1', port: Number(metrics), of: 'its metrics', setting: 'COORDINATOR_METRICS_ADDR' }];
  // Port 0 is a free one.
  return [api, ...ofTemporal, ...ofMetrics].filter((each) => each.port > 0 && each.port < 65_536);
}

async function lookAtPort({ host, port, of, setting }: Port): Promise<Finding> {
  const what = ['port', `port ${port}`] as const;
  if (!(await isHeld(host, port))) return good(what, `free for ${of}`);
  const remedy = `end that program, or give ${of} another port by ${setting}`;
  return bad('warning', what, `another program listens where ${of} should`, remedy);
}

function isHeld(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (held: boolean) => () => {
      socket.destroy();
      resolve(held);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

/** Whether a shard answers `/healthz`, and what its clock shows. Needs no key. */
import type { Dispatcher } from 'undici';
import { skewBetween } from '../../domain/clock-skew';
import { AddressNotAllowedError } from '../reach/reach';
import { paths } from '../http/paths';

/** The header Date has whole seconds. */
const DATE_RESOLUTION_MS = 1_000;

export interface SeenHealth {
  /** Null: it answers. */
  readonly problem: string | null;
  /** Null: its answer has no date. */
  readonly clockSkewMs: number | null;
}

interface Asked {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** The other side has closed a kept-alive connection since its last use. */
const IS_CUT = /\((?:UND_ERR_SOCKET|ECONNRESET|EPIPE)\)$/;

/** Rejects only with the reason of `signal`. */
export async function probeHealth(url: string, dispatcher: Dispatcher, asked: Asked): Promise<SeenHealth> {
  const seen = await probeOnce(url, dispatcher, asked);
  // A new connection tells what is true.
  return IS_CUT.test(seen.problem ?? '') ? await probeOnce(url, dispatcher, asked) : seen;
}

async function probeOnce(
  url: string,
  dispatcher: Dispatcher,
  { timeoutMs, signal, nowMs }: Asked,
): Promise<SeenHealth> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const { origin, pathname } = new URL(url);
  const path = pathname.replace(/\/+$/, '') + paths.health.path;
  const sentMs = nowMs();
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin,
      path,
      method: 'GET',
      signal: AbortSignal.any([signal, timeout]),
    });
    const answeredMs = nowMs();
    await body.dump();
    const problem = statusCode === 200 ? null : `/healthz answers with status ${statusCode}`;
    const theirsMs = Date.parse(String(headers['date']));
    const clockSkewMs = Number.isNaN(theirsMs)
      ? null
      : skewBetween(theirsMs, { sentMs, answeredMs, resolutionMs: DATE_RESOLUTION_MS });
    return { problem, clockSkewMs };
  } catch (error) {
    signal.throwIfAborted();
    return { problem: reasonOf(error, timeout.aborted ? timeoutMs : null), clockSkewMs: null };
  }
}

function reasonOf(error: unknown, timeoutMs: number | null): string {
  if (timeoutMs !== null) return `no answer within ${timeoutMs} ms`;
  if (error instanceof AddressNotAllowedError) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return `no answer (${code ?? 'the answer is not HTTP'})`;
}

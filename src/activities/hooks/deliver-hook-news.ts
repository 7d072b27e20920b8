import { ApplicationFailure } from '@temporalio/common';
import { request, type Dispatcher } from 'undici';
import { boundedText } from '../../domain/bounded-text';
import type { HookNews } from '../../domain/hooks';
import { signatureOf, type SecretSeal } from '../../client/hook-secrets';
import type { HookActivities } from '../../contract/activities';
import type { ActivityDeps } from '../frame/deps';

/** Below its start-to-close timeout. */
const ANSWER_TIMEOUT_MS = 10_000;

type Deps = Pick<ActivityDeps, 'reach' | 'dispatcher' | 'hookSeal'>;

/** Any answer of 200 to 299 is an arrival. A redirect is not followed: it could lead where nobody allowed. */
export function createDeliverHookNews(deps: Deps): HookActivities['deliverHookNews'] {
  return async ({ cluster, hook, news }) => {
    const { url, sealed } = hook;
    const { host } = new URL(url);
    const body = JSON.stringify(bodyOf(cluster, news));
    const atS = Math.floor(Date.now() / 1_000);
    const signed = sealed === null ? {} : { 'coordinator-signature': signatureOf(secretOf(hook, deps), atS, body) };
    const headers = { 'content-type': 'application/json', 'coordinator-delivery': news.id, ...signed };
    const status = await post(url, { headers, body }, deps.dispatcher ?? deps.reach?.dispatcher).catch(
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : 'unknown reason';
        throw failure(
          'HookUnreachable',
          `expected an answer of the hook at ${host}, got none: ${boundedText(reason, 100)}`,
        );
      },
    );
    if (status >= 200 && status < 300) return;
    throw failure('HookRefused', `expected 200 to 299 of the hook at ${host}, got ${status}: see its log`);
  };
}

async function post(
  url: string,
  { headers, body }: { headers: Record<string, string>; body: string },
  dispatcher: Dispatcher | undefined,
): Promise<number> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const answer = await request(url, {
    method: 'POST',
    headers,
    body,
    signal,
    ...(dispatcher === undefined ? {} : { dispatcher }),
  });
  await answer.body.dump();
  return answer.statusCode;
}

function secretOf(
  { url, sealed }: { url: string; sealed: string | null },
  { hookSeal }: { hookSeal?: SecretSeal | null },
) {
  const secret = hookSeal?.open(sealed ?? '', url) ?? null;
  if (secret !== null) return secret;
  throw failure(
    'HookSecretSealed',
    `expected the COORDINATOR_HOOKS_KEY with which the secret of the hook at ${new URL(url).host} was sealed, got another one or none: ` +
      'give all APIs and workers the same one, or give the hook its secret again',
  );
}

const failure = (type: string, message: string): ApplicationFailure => ApplicationFailure.create({ type, message });

function bodyOf(cluster: string, { id, event, atMs, operation, notice }: HookNews) {
  const at = new Date(atMs).toISOString();
  return {
    id,
    event,
    at,
    cluster,
    ...(operation === null ? {} : { operation }),
    ...(notice === null ? {} : { notice }),
  };
}

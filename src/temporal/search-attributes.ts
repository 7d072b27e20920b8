import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import type { Logger } from 'pino';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../contract/search-attributes';

const NAMES = [CLUSTER_ATTRIBUTE.name, PHASE_ATTRIBUTE.name];
/** `INDEXED_VALUE_TYPE_KEYWORD` of Temporal's API. */
const KEYWORD = 2;
const TIMEOUT_MS = 3_000;

/**
 * Makes the namespace know the coordinator's search attributes. Best effort: the coordinator works without them where
 * Temporal does not allow this (as Temporal Cloud does not). True only when a start may carry them: an unknown one
 * would refuse the start.
 */
export async function ensureSearchAttributes(options: {
  connection: Connection;
  namespace: string;
  logger: Logger;
}): Promise<boolean> {
  const { connection, namespace, logger } = options;
  const call = <T>(request: () => Promise<T>): Promise<T> =>
    inTime(() => connection.withDeadline(Date.now() + TIMEOUT_MS, request));
  try {
    const { customAttributes } = await call(() => connection.operatorService.listSearchAttributes({ namespace }));
    const missing = NAMES.filter((name) => customAttributes[name] === undefined);
    if (missing.length > 0) {
      const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
      await call(() => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }));
    }
    return await areKnown(() =>
      call(() => connection.workflowService.countWorkflowExecutions({ namespace, query: countQuery() })),
    );
  } catch (error) {
    logger.info({ err: error }, 'going on without search attributes in the Temporal Web UI');
    return false;
  }
}

/** A gRPC deadline does not bound the SDK's retries, so a clock of our own ends the call. */
async function inTime<T>(call: () => Promise<T>): Promise<T> {
  const clock = new AbortController();
  const end = delay(TIMEOUT_MS, undefined, { signal: clock.signal }).then((): never => {
    throw new Error(`Temporal did not answer within ${TIMEOUT_MS} ms`);
  });
  try {
    return await Promise.race([call(), end]);
  } finally {
    clock.abort();
  }
}

const countQuery = (): string => NAMES.map((name) => `${name} = "none"`).join(' AND ');

const KNOWN_ATTEMPTS_MAX = 20;
const KNOWN_PAUSE_MS = 250;

/** A server reads its namespaces again only from time to time. Until then a query by the new attributes fails. */
async function areKnown(count: () => Promise<unknown>): Promise<boolean> {
  for (let attempt = 1; attempt <= KNOWN_ATTEMPTS_MAX; attempt += 1) {
    try {
      await count();
      return true;
    } catch {
      await delay(KNOWN_PAUSE_MS);
    }
  }
  return false;
}

/**
 * Webhooks: keeps them, waits for news, and has each hook told.
 *
 * 1. The Update `replaceHooks` replaces all hooks. The Query `hooks` answers them. Secrets are sealed (ADR 29).
 * 2. While there are hooks, one activity waits for news. How far they were told is a part of the state.
 * 3. Each hook is told each of its news by an activity that Temporal tries again for an hour. What is given up is shown with the hook.
 *    Deliveries are bounded: beyond DELIVERIES_MAX no further news are taken, and none is lost.
 * 4. The deliveries to a hook that is removed end.
 *
 * What survives a crash: the hooks, how far news were told, and every delivery under way. A receiver may be told twice.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { HookActivities } from '../../contract/activities';
import { hooksQuery, replaceHooksUpdate, type HooksInput, type HooksState } from '../../contract/messages';
import { boundedText } from '../../domain/bounded-text';
import { replaceHooks, type Hook, type HookNews, type NewHook } from '../../domain/hooks';
import { HISTORY_EVENTS_MAX } from '../../domain/limits';
import { nowMs } from '../clock';
import { answering } from '../operation/domain-failures';

/** Of all hooks together. */
const DELIVERIES_MAX = 64;
const REASON_CHARS_MAX = 200;

const { awaitHookNews } = proxyActivities<HookActivities>({
  startToCloseTimeout: '15m',
  heartbeatTimeout: '20s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' },
});
const { deliverHookNews } = proxyActivities<HookActivities>({
  startToCloseTimeout: '15s',
  scheduleToCloseTimeout: '1h',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m' },
});

/** So much longer a history may grow while something is delivered. Temporal ends one of 51,200 events. */
const PATIENT_TIMES = 4;

interface Delivery {
  readonly url: string;
  readonly scope: CancellationScope;
}

export async function hooks(input: HooksInput): Promise<void> {
  let state: HooksState = input.carried ?? { hooks: [], told: null };
  const deliveries = new Set<Delivery>();
  setHandler(hooksQuery, () => state.hooks);
  setHandler(
    replaceHooksUpdate,
    (given) => {
      // What happened while nobody was to be told is no news to the next ones.
      const told = state.hooks.length === 0 ? null : state.told;
      state = { hooks: answering(() => replaceHooks(state.hooks, given)), told };
      for (const { url, scope } of deliveries) if (!state.hooks.some((each) => each.url === url)) scope.cancel();
      return state.hooks;
    },
    { validator: (given: readonly NewHook[]) => void answering(() => replaceHooks(state.hooks, given)) },
  );

  const tell = async (hook: Hook, news: HookNews): Promise<void> => {
    const scope = new CancellationScope();
    const delivery = { url: hook.url, scope };
    deliveries.add(delivery);
    try {
      const { url, sealed } = hook;
      await scope.run(() => deliverHookNews({ cluster: input.cluster, hook: { url, sealed }, news }));
      show(hook.url, null);
    } catch (error) {
      if (!isCancellation(error)) show(hook.url, { reason: reasonOf(error), sinceMs: nowMs() });
    } finally {
      deliveries.delete(delivery);
    }
  };
  const show = (url: string, problem: Hook['problem']): void => {
    const hooksNow = state.hooks.map((each) => (each.url === url ? { ...each, problem } : each));
    state = { ...state, hooks: hooksNow };
  };

  // A hook that is down for an hour must not keep news from the others: what is under way may end meanwhile.
  while (!historyIsLong(input) || (deliveries.size > 0 && !historyIsLong(input, PATIENT_TIMES))) {
    await condition(() => state.hooks.length > 0 || historyIsLong(input));
    if (state.hooks.length === 0 && historyIsLong(input)) break;
    if (state.hooks.length === 0) continue;
    const { told, news } = await awaitHookNews({ cluster: input.cluster, told: state.told });
    state = { ...state, told: state.hooks.length === 0 ? null : told };
    for (const each of news) {
      for (const hook of state.hooks.filter(({ events }) => events.includes(each.event))) {
        await condition(() => deliveries.size < DELIVERIES_MAX);
        // It may have been removed meanwhile.
        if (state.hooks.some(({ url }) => url === hook.url)) void tell(hook, each);
      }
    }
  }
  await condition(() => deliveries.size === 0 && allHandlersFinished());
  await continueAsNew<typeof hooks>({ ...input, carried: state });
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return boundedText(cause instanceof Error ? cause.message : 'unknown reason', REASON_CHARS_MAX);
}

function historyIsLong({ historyEventsMax = HISTORY_EVENTS_MAX }: HooksInput, times = 1): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return (times === 1 && continueAsNewSuggested) || historyLength > times * historyEventsMax;
}

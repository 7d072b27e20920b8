/** A kept-alive connection to a simulated router: in the place of undici's Client, and of router-client. */
import { EventEmitter } from 'node:events';
import { ShardError } from '../../../../src/shards/errors';
import type { CallContext } from '../../../../src/shards/http/shard-client';
import type { HeldMap } from '../../../../src/shards/http/router-client';
import { processes } from '../runtime/time';
import type { Router } from './router';
import type { World } from './world';

export function connectionModules(worldNow: () => World): { undici: object; routerClient: object } {
  class Client extends EventEmitter {
    readonly #url: string;
    readonly #owner = processes.getStore() ?? null;
    #router: Router | null = null;
    readonly #line = { breaks: (reason: string) => this.#breaks(reason) };

    constructor(url: string) {
      super();
      this.#url = url;
    }

    /** Connects when it is not connected. */
    connect(): Router {
      const router = worldNow().routerAt(this.#url);
      if (router?.isUp !== true) throw new Error('connect ECONNREFUSED');
      if (this.#router === null) {
        this.#router = router;
        router.connections.add(this.#line);
        this.emit('connect');
      }
      return router;
    }

    /** The other side has died. Whoever holds this end learns it a moment later. */
    #breaks(reason: string): void {
      worldNow().time.after(worldNow().random.between(0, 3), this.#owner, () => {
        this.#router = null;
        this.emit('disconnect', this.#url, [this], new Error(reason));
      });
    }

    async destroy(): Promise<void> {
      this.#router?.connections.delete(this.#line);
      this.#router = null;
    }
  }

  async function routerMap(url: string, _key: unknown, ctx: CallContext, dispatcher?: unknown): Promise<HeldMap> {
    return ask(url, ctx, dispatcher, (router) => ({ version: router.map.version, map: router.map }));
  }

  async function ask<T>(url: string, ctx: CallContext, dispatcher: unknown, answer: (router: Router) => T): Promise<T> {
    const world = worldNow();
    const owner = processes.getStore() ?? null;
    const failure = (reason: string, code: 'Unreachable' | 'TimedOut'): ShardError =>
      new ShardError({ code, method: 'GET', shardUrl: url, path: '/cluster/map', status: null, reason });
    ctx.signal?.throwIfAborted();
    await world.time.sleep(world.latencyMs(), owner);
    ctx.signal?.throwIfAborted();
    let router: Router | null;
    try {
      router = dispatcher instanceof Client ? dispatcher.connect() : world.routerAt(url);
    } catch (error) {
      throw failure(error instanceof Error ? error.message : 'no connection', 'Unreachable');
    }
    if (router?.isUp !== true) throw failure('connection refused', 'Unreachable');
    const { process } = router;
    await world.time.sleep(world.latencyMs(), owner);
    ctx.signal?.throwIfAborted();
    if (!process.isAlive) throw failure('other side closed', 'Unreachable');
    return answer(router);
  }

  return {
    undici: { Client, Agent: NoAgent, request: () => Promise.reject(new Error('there is no network here')) },
    routerClient: {
      routerMap,
      markRouter: (url: string, mark: string, _key: unknown, ctx: CallContext, dispatcher?: unknown) =>
        ask(url, ctx, dispatcher, (router) => void router.marks.add(mark)),
      holdsMark: (url: string, mark: string, _key: unknown, ctx: CallContext, dispatcher?: unknown) =>
        ask(url, ctx, dispatcher, (router) => router.marks.has(mark)),
      routerVersion: async (...call: Parameters<typeof routerMap>) => (await routerMap(...call)).version,
    },
  };
}

/** Nobody asks it for anything. */
function NoAgent(): void {
  // It has nothing to set up.
}

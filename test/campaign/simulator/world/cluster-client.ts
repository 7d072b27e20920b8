/** How activities talk to the cluster's workflow: in the place of client/cluster-client. */
import { ApplicationFailure } from '@temporalio/common';
import { ClientError, RefusedError } from '../../../../src/client/calls/errors';
import { clusterWorkflowId, operationWorkflowId, parseOperationId } from '../../../../src/contract/ids';
import { processes } from '../runtime/time';
import type { World } from './world';

export function clusterClientModule(worldNow: () => World): object {
  class ClusterClient {
    readonly #cluster: string;

    constructor({ cluster }: { cluster: string }) {
      this.#cluster = cluster;
    }

    async queryLock(): Promise<unknown> {
      await this.#reach();
      return worldNow().server.find(clusterWorkflowId(this.#cluster))?.query('lock');
    }

    async applyTransition(transition: object): Promise<unknown> {
      const world = worldNow();
      await this.#reach();
      if (world.isLost('update')) throw new ClientError('TemporalUnreachable', 'the update was lost on its way');
      const workflow = world.server.find(clusterWorkflowId(this.#cluster));
      let answer: unknown;
      try {
        answer = await workflow?.update('transition', transition);
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error;
        throw new RefusedError({ type: error.type ?? '', message: error.message }, error);
      } finally {
        world.noteState();
      }
      if (world.isLost('answer')) throw new ClientError('TransitionUnanswered', 'the answer was lost');
      await world.time.sleep(world.latencyMs(), processes.getStore() ?? null);
      return answer;
    }

    async recallOperation(operationId: string): Promise<unknown> {
      const world = worldNow();
      await this.#reach();
      const parsed = parseOperationId(operationId);
      if (parsed === null || !world.deadAnswer) throw new ClientError('UnknownOperation', 'nobody knows it');
      const workflow = world.server.find(operationWorkflowId(this.#cluster, parsed.kind, parsed.key));
      if (workflow === null) throw new ClientError('UnknownOperation', 'nobody knows it');
      return workflow.query('operationState');
    }

    async #reach(): Promise<void> {
      const world = worldNow();
      await world.time.sleep(world.latencyMs(), processes.getStore() ?? null);
    }
  }
  return { ClusterClient };
}

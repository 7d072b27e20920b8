import { WorkflowNotFoundError } from '@temporalio/common';
import type { WorkflowClient } from '@temporalio/client';
import pino from 'pino';
import { seedState, type ClusterState } from '../../../src/domain/cluster-state';
import { witnessedPart, type WitnessedState } from '../../../src/domain/witnessed';
import { DEFAULT_TIMINGS } from '../../../src/domain/limits';
import { announce, flip, release, reserve } from '../../../src/domain/lock-transitions';
import { recoverAbandonedLock } from '../../../src/client/operations/abandoned-lock';
import type { LockLook } from '../../../src/contract/evaluation-activities';
import { clusterWorkflowId, operationWorkflowId, witnessWorkflowId } from '../../../src/contract/ids';

const at = (name: string) => ({ primary_url: `http://${name}:6333`, replica_urls: [] });
const HOLDER = 'grow-a';

const request = { kind: 'grow', shards: [at('s2')], fromStandby: false } as const;
const announced = announce(
  reserve(seedState([at('s0'), at('s1')]), { operationId: HOLDER, request, nowMs: 1 }),
  HOLDER,
);
const ended = release(flip(announced, HOLDER), {
  operationId: HOLDER,
  end: 'succeeded',
  code: null,
  pointsMoved: 1,
  message: 'joined',
  nowMs: 2,
});

/** A Temporal in which the holder of the lock has ended. `witnessed`: null without a witness, an Error when it does not answer. */
class FakeTemporal {
  readonly started: string[] = [];
  private readonly state: ClusterState;
  private readonly witnessed: WitnessedState | null | Error;

  constructor(state: ClusterState, witnessed: WitnessedState | null | Error) {
    this.state = state;
    this.witnessed = witnessed;
  }

  look(): Promise<LockLook> {
    const workflows = {
      getHandle: (id: string) => ({ query: () => this.answer(id), describe: () => this.describe(id) }),
      start: (_type: string, { workflowId }: { workflowId: string }) => {
        this.started.push(workflowId);
        return Promise.resolve();
      },
    } as unknown as WorkflowClient;
    const settings = { routerUrls: [], timings: DEFAULT_TIMINGS, searchAttributes: false };
    return recoverAbandonedLock({
      workflows,
      records: workflows,
      cluster: 'c',
      settings,
      logger: pino({ level: 'silent' }),
    });
  }

  private answer(id: string): Promise<unknown> {
    if (id === clusterWorkflowId('c')) return Promise.resolve(this.state);
    if (id !== witnessWorkflowId('c')) return Promise.reject(new Error(`nobody asks ${id}`));
    if (this.witnessed instanceof Error) return Promise.reject(this.witnessed);
    if (this.witnessed === null) return Promise.reject(new WorkflowNotFoundError('none', id, undefined));
    return Promise.resolve({ state: this.witnessed, lineage: 'l' });
  }

  private describe(id: string): Promise<unknown> {
    if (id !== operationWorkflowId('c', 'grow', 'a')) return Promise.reject(new Error(`nobody looks at ${id}`));
    return Promise.resolve({ status: { name: 'COMPLETED' }, closeTime: new Date(3) });
  }
}

describe('a lock whose holder has ended', () => {
  it.each<[string, WitnessedState | null]>([
    ['the witness remembers the same state', witnessedPart(announced)],
    ['the witness remembers an older state', witnessedPart(seedState([at('s0'), at('s1')]))],
    ['there is no witness yet', null],
  ])('is recovered when %s', async (_when, witnessed) => {
    const temporal = new FakeTemporal(announced, witnessed);
    expect((await temporal.look()).kind).toBe('recovering');
    expect(temporal.started).toHaveLength(1);
  });

  it('is left alone in a cluster workflow that was rewound, where the undo would empty a shard that is an owner by now', async () => {
    const temporal = new FakeTemporal(announced, witnessedPart(ended));
    expect(await temporal.look()).toEqual({ kind: 'held', operationId: HOLDER });
    expect(temporal.started).toEqual([]);
  });

  it('is left alone while the witness does not answer', async () => {
    const temporal = new FakeTemporal(announced, new Error('no worker answers'));
    await expect(temporal.look()).rejects.toThrow('no worker answers');
    expect(temporal.started).toEqual([]);
  });
});

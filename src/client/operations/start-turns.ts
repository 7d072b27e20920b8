/**
 * Many starts at once: one operation can get the lock, and every start that reaches Temporal costs an update of the
 * cluster workflow, of which it takes few at a time. So a start that cannot win is refused from a query of the lock.
 *
 * 1. One start of this process is under way at a time, until the lock is seen to be held.
 * 2. Who waits for that looks at the lock all the while, and is refused as soon as another operation holds it.
 * 3. After `turnMs` it is refused too: the start that is under way takes the lock before anything else.
 * 4. A repeat of a start is never refused here: it gets the answer to the first call.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { OperationLock } from '../../domain/cluster-state';
import { refuseWhileLocked } from '../../domain/preconditions';
import { DomainError } from '../../domain/errors';
import { RefusedError } from '../calls/errors';

const TURN_MS = 1_500;
const LOOK_EVERY_MS = 50;

/** Nothing was started. */
export class RefusedBeforeStart extends RefusedError {}

export interface StartTurnsOptions {
  readonly queryLock: () => Promise<OperationLock | null>;
  /** Whether an operation of this id was ever started. */
  readonly isKnown: (operationId: string) => Promise<boolean>;
  readonly turnMs?: number;
}

export class StartTurns {
  readonly #options: StartTurnsOptions;
  /** The starts of this process that are under way, and how many calls wait for each. */
  readonly #starting = new Map<string, number>();
  #look: Promise<OperationLock | null> | null = null;

  constructor(options: StartTurnsOptions) {
    this.#options = options;
  }

  /** @throws RefusedBeforeStart OperationInProgress, before anything was started; whatever `start` throws */
  async run<T>(operationId: string, start: () => Promise<T>): Promise<T> {
    await this.#takeTurn(operationId);
    try {
      return await start();
    } finally {
      this.#end(operationId);
    }
  }

  async #takeTurn(operationId: string): Promise<void> {
    const endsAtMs = performance.now() + (this.#options.turnMs ?? TURN_MS);
    while (!(await this.#mayBegin(operationId, performance.now() >= endsAtMs))) await delay(LOOK_EVERY_MS);
  }

  /** There is no await between the last look at the others and the begin, so no two take the same turn. */
  async #mayBegin(operationId: string, isLate: boolean): Promise<boolean> {
    if (this.#starting.has(operationId)) return this.#begin(operationId);
    const lock = await this.#sharedLook();
    const isHeld = lock !== null && lock.operationId !== operationId;
    if (isHeld || (isLate && this.#starting.size > 0)) {
      if (await this.#isKnown(operationId)) return this.#begin(operationId);
      const [other = ''] = this.#starting.keys();
      throw isHeld ? refusedBy(lock) : refusal(`operation ${other} is about to begin: wait for its end`);
    }
    return this.#starting.size === 0 && this.#begin(operationId);
  }

  #begin(operationId: string): true {
    this.#starting.set(operationId, (this.#starting.get(operationId) ?? 0) + 1);
    return true;
  }

  #end(operationId: string): void {
    const calls = (this.#starting.get(operationId) ?? 1) - 1;
    if (calls === 0) this.#starting.delete(operationId);
    else this.#starting.set(operationId, calls);
  }

  /** One query answers all that ask while it is under way. What cannot be asked is left to the start itself. */
  #sharedLook(): Promise<OperationLock | null> {
    return (this.#look ??= this.#options
      .queryLock()
      .catch(() => null)
      .finally(() => (this.#look = null)));
  }

  #isKnown(operationId: string): Promise<boolean> {
    // What cannot be told is left to the start, which finds the operation or begins it.
    return this.#options.isKnown(operationId).catch(() => true);
  }
}

/** In the words of the cluster workflow. */
function refusedBy(lock: OperationLock): RefusedBeforeStart {
  try {
    refuseWhileLocked({ lock });
  } catch (error) {
    if (error instanceof DomainError) return refusal(error.message);
    throw error;
  }
  return refusal(`operation ${lock.operationId} is running`);
}

function refusal(message: string): RefusedBeforeStart {
  return new RefusedBeforeStart({ type: 'OperationInProgress', message });
}

/** What has changed in a shard's store, in commit order, for those who follow it. */
import type { StoredCollection, StoredPoint } from './shard-store';

export type Change = { readonly collection: StoredCollection } & (
  | { readonly kind: 'create' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'upsert'; readonly point: StoredPoint }
  | { readonly kind: 'delete'; readonly id: string }
);

export interface NumberedChange {
  readonly lsn: number;
  readonly change: Change;
}

/** Numbers changes from 1 on, whether anybody listens or not. */
export class ChangeFeed {
  private lsn = 0;
  private readonly subscriptions = new Set<Subscription>();

  publish(change: Change): void {
    this.lsn += 1;
    for (const each of this.subscriptions) each.push({ lsn: this.lsn, change });
  }

  /** Changes from now on. More than `capacity` untaken ones are lost. */
  subscribe(capacity: number, onChange: () => void = () => undefined): Subscription {
    const subscription = new Subscription(capacity, onChange, () => this.subscriptions.delete(subscription));
    this.subscriptions.add(subscription);
    return subscription;
  }
}

export class Subscription {
  /** Some changes are lost. What is still here came after them. */
  isLost = false;
  readonly close: () => void;
  private changes: NumberedChange[] = [];
  private wake: () => void = () => undefined;
  private readonly capacity: number;
  private readonly onChange: () => void;

  constructor(capacity: number, onChange: () => void, close: () => void) {
    this.capacity = capacity;
    this.onChange = onChange;
    this.close = close;
  }

  push(change: NumberedChange): void {
    this.changes.push(change);
    if (this.changes.length > this.capacity) {
      this.changes.shift();
      this.isLost = true;
    }
    this.onChange();
    this.wake();
  }

  /** The oldest, at most so many. */
  take(most = Infinity): NumberedChange[] {
    return this.changes.splice(0, most);
  }

  /** Resolves when there is something to take, or when `ended` resolves. */
  async wait(ended: Promise<unknown>): Promise<void> {
    if (this.changes.length > 0) return;
    const woken = new Promise<void>((resolve) => (this.wake = resolve));
    await Promise.race([woken, ended]);
  }
}

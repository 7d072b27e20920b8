/** A read-only copy of another shard's store, as a Quiver follower keeps it: it applies changes in their order, late or never. */
import type { Change, Subscription } from './shard-changes';
import type { ShardCalls } from './shard-calls';

export interface ReplicaOptions {
  /** How long after the leader a change shows. Default 0: at once. */
  readonly lagMs?: number;
  /** It applies nothing after its first copy until `catchUp`, as one does whose stream has broken. */
  readonly frozen?: boolean;
}

export class ShardReplica {
  private readonly calls: ShardCalls;
  private readonly lagMs: number;
  private isFrozen: boolean;
  private readonly subscription: Subscription;

  constructor(leader: ShardCalls, calls: ShardCalls, { lagMs = 0, frozen = false }: ReplicaOptions) {
    this.calls = calls;
    this.lagMs = lagMs;
    this.isFrozen = frozen;
    this.subscription = leader.changes.subscribe(Infinity, () => this.onChange());
    for (const collection of leader.collections.values()) {
      calls.add(collection.schema).put(collection.points());
    }
  }

  freeze(): void {
    this.isFrozen = true;
  }

  /** Applies what is there, and what comes from now on. */
  catchUp(): void {
    this.isFrozen = false;
    this.apply(Infinity);
  }

  private onChange(): void {
    if (this.isFrozen) return;
    if (this.lagMs === 0) return this.apply(Infinity);
    setTimeout(() => {
      if (!this.isFrozen) this.apply(1);
    }, this.lagMs).unref();
  }

  private apply(most: number): void {
    for (const { change } of this.subscription.take(most)) apply(this.calls, change);
  }
}

function apply(calls: ShardCalls, change: Change): void {
  const { name } = change.collection.schema;
  if (change.kind === 'create') calls.add(change.collection.schema);
  else if (change.kind === 'drop') calls.drop(name);
  else if (change.kind === 'upsert') calls.collections.get(name)?.put([change.point]);
  else calls.collections.get(name)?.remove([change.id]);
}

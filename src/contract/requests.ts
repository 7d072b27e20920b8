/** The request of an operation, and the first answer to its caller. */
import type { Holder } from '../domain/findings';
import type { Timings } from '../domain/limits';
import type { ShardAddress, ShardMap } from '../domain/shard-map';

/** How the caller wants shards to be read. */
export interface ScanRequest {
  /** By shard id: the address of a follower, for this operation only. */
  readonly sources?: Readonly<Record<string, string>>;
  /** The longest stop of a primary that the caller accepts, in the place of the setting. */
  readonly acceptStopMs?: number;
}
export interface GrowRequest extends ScanRequest {
  readonly shards: readonly ShardAddress[];
  readonly allowNonempty: boolean;
  /** The shard is a standby of the autoscale policy. */
  readonly fromStandby?: boolean;
  /**
   * With `fromStandby`: the start of the cooldown that the policy decided by (ms since the epoch), null when there was
   * none.
   */
  readonly seenLastScaleAtMs?: number | null;
}
export interface DrainRequest extends ScanRequest {
  readonly shardId: number;
  /** Decided by the autoscale policy: the shard becomes a standby when it is empty. */
  readonly toStandby?: boolean;
  /** With `toStandby`: as in a grow by policy. */
  readonly seenLastScaleAtMs?: number | null;
}

/** A check has no `prefer`. */
export interface RepairRequest extends ScanRequest {
  /** Null: all of them. */
  readonly collections: readonly string[] | null;
  /** Shards that are not, or no longer, in the map. They are read, and in a repair emptied, as non-owners. */
  readonly leftovers: readonly ShardAddress[];
  /**
   * Whose value counts, first one first, when the owner has none and the others differ. Empty: such points are only
   * reported.
   */
  readonly prefer: readonly Holder[];
}
export interface RecoverRequest {
  /** The operation that held the lock when it was found to be ended. */
  readonly dead: string;
  /** When its last run ended. An attempt of it may go on writing for as long as an attempt lives. */
  readonly diedAtMs: number;
}
export type OperationRequest = GrowRequest | DrainRequest | RepairRequest | RecoverRequest;

/** The answer to the REST call that started an operation. `request` lets the API tell a repeat from a reused key. */
export interface AnnouncedAnswer {
  readonly map: ShardMap;
  readonly shardIds: readonly number[];
  readonly request: OperationRequest;
}

/** Why an operation was refused. `type` is a DomainErrorCode, or the code of the failure of a shard. */
export interface Refusal {
  readonly type: string;
  readonly message: string;
}

/** What every operation gets beside its request: settings of the process that started it, which it keeps to its end. */
export interface OperationSettings {
  readonly routerUrls: readonly string[];
  /** Every router has a dead seed only, so one that restarts refuses writes until it holds a map. Default false. */
  readonly routersFailClosed?: boolean;
  /** How long a primary may stand still for one scan. Default DEFAULT_SCAN_STOP_MAX_MS. */
  readonly scanStopMaxMs?: number;
  readonly timings: Timings;
  /**
   * Whether the namespace knows the search attributes of search-attributes.ts. Setting unknown ones would stall the
   * workflow.
   */
  readonly searchAttributes: boolean;
}

/**
 * Every bound of the coordinator in one place, with units last. Durations that decide how an operation behaves are the
 * defaults of `Timings`. They travel as workflow input, so a run keeps the ones it started with.
 */

/** A fetch never asks for more rows than Quiver's own default maximum. */
export const PAGE_ROWS_MAX = 10_000;
/** Neighbouring pages share this many rows, so that rows deleted before the cursor do not make a walk skip any. */
export const PAGE_OVERLAP_ROWS = 100;
/**
 * An upsert body is cut here. This is far below a shard's 32 MiB, and so small that a worker's memory does not depend
 * on the dimension.
 */
export const UPSERT_BODY_BYTES_MAX = 4 * 1024 * 1024;
/** A point with more bytes than this cannot be moved: a shard takes bodies of 32 MiB. */
export const POINT_BYTES_MAX = 16 * 1024 * 1024;
/** Points in one upsert. Quiver's `points:bulk` takes 50,000. */
export const UPSERT_POINTS_MAX = 10_000;
/** Ids in one delete. */
export const DELETE_IDS_MAX = 10_000;
/** Copy pages in flight per donor. Hides Temporal's own latency per activity. */
export const COPY_WINDOW_PER_DONOR = 2;
/** Copy pages in flight in all. */
export const COPY_WINDOW_MAX = 8;
/** Source rows that one reconcile, drop or confirm activity walks over before it returns its cursor. */
export const SEGMENT_ROWS_MAX = 200_000;
/** Differences that a segment holds in memory before it settles and applies them. */
export const DIFFERENCES_MAX = 1_000;
/** After this many passes of reconcile the operation waits with a reason, instead of going on at full speed. */
export const RECONCILE_PASSES_MAX = 12;
/** History events after which a workflow continues as new, below the 4,096 at which Temporal starts to warn. */
export const HISTORY_EVENTS_MAX = 3_000;
/** Ended operations that the cluster workflow remembers. */
export const RECENT_OPERATIONS_MAX = 100;
/** Answered Idempotency-Keys of manual changes that the cluster workflow remembers. */
export const ANSWERED_REQUESTS_MAX = 64;
/** Evaluations of the autoscale policy that the cluster workflow remembers. */
export const EVALUATIONS_MAX = 20;
/** What an operator must notice, that the cluster workflow remembers. */
export const NOTICES_MAX = 50;
/** Characters of every text that enters the state of a workflow (bounded-text.ts). */
export const TEXT_CHARS_MAX = 500;
/** Characters of the reason why a shard is read as it is: there is one for each shard. */
export const SOURCE_REASON_CHARS_MAX = 200;
/** Shards of which an operation shows how it reads them: those that stand still the longest. Others are counted. */
export const SOURCES_SHOWN_MAX = 64;
/** Causes that slow an operation down which it shows, and those that one step of it tells. */
export const SLOWED_SHOWN_MAX = 16;
export const SLOWED_OF_STEP_MAX = 4;
/** Of the operations that the cluster workflow remembers, the newest so many keep their whole message. */
export const RECORDS_IN_FULL_MAX = 20;
/** Characters of the message of an older one, and of the reason why a standby is unusable. */
export const SHORT_TEXT_CHARS_MAX = 200;
/** Characters of an answered request that is remembered as it is. Of a longer one a digest is. */
export const ANSWERED_REQUEST_CHARS_MAX = 200;
/** Samples of a list inside such a text, and characters of one of them. The others are counted. */
export const SAMPLES_MAX = 3;
export const SAMPLE_CHARS_MAX = 120;
/** Things of one kind that notices of the autoscale policy name one by one. One more notice counts the others. */
export const NAMED_NOTICES_MAX = 20;
/** Entries of the list of routers, and characters of one of them. */
export const ROUTER_ENTRIES_MAX = 128;
export const ROUTER_ENTRY_CHARS_MAX = 200;
/** Routers that the names of one list may come to. */
export const ROUTERS_FOUND_MAX = 1_024;
/** Standbys that may wait outside a cluster. */
export const STANDBYS_MAX = 128;
/** Samples of a finding that a check keeps; all of them are counted. */
export const FINDING_SAMPLES_MAX = 100;
/**
 * Collections, and shards that hold some of them, that findings list one by one. They are state, and pass through a
 * history.
 */
export const FINDING_ROWS_MAX = 2_000;
/** After this many passes over everything a repair ends with what is left, instead of chasing clients. */
export const REPAIR_PASSES_MAX = 5;
/** A shard that asks for a longer pause than this is not left to Temporal's own retries, which nobody sees (INV-9). */
export const SILENT_PAUSE_MAX_MS = 1_000;
/** Whatever pause a shard asks for, it is asked again after this one. */
export const ASKED_PAUSE_MAX_MS = 60_000;
/** Body of a request to this API. */
export const REQUEST_BODY_BYTES_MAX = 64 * 1024;
/** Body of a request that brings a whole map: SHARDS_MAX shards with a few addresses each. */
export const RESTORE_BODY_BYTES_MAX = 1024 * 1024;
/** Quiver listens for gRPC at 6334 beside REST at 6333. */
export const GRPC_PORT_OFFSET = 1;
/** Shards in a map. Placement is computed per point and shard. */
export const SHARDS_MAX = 1_024;

/** A request of an attempt that lives by its heartbeats may go on for so long after its lease has ended. */
export const LONG_REQUEST_MS = 30_000;
/** The clocks of a worker and of Temporal may differ by so much: writes stop that long before an attempt is given up. */
export const CLOCK_SKEW_MAX_MS = 2_000;

/** How patient an operation is. All in milliseconds. */
export interface Timings {
  /** How long to wait for routers to adopt a version when none can be asked. */
  readonly graceMs: number;
  /** How long routers that can be asked may take to adopt a version. */
  readonly routerPatienceMs: number;
  /**
   * The longest life of a client's write in a router. A router has no time-out of its own, tries for 3 s to find a
   * leader, and writes all owners of a batch before the first donor. After this long, everything that a router began
   * under an older map is over, and so is every half-way dual write.
   */
  readonly inFlightMs: number;
  /** How long a difference is left alone before another look: a dual write may be half-way. */
  readonly settleMs: number;
  /** How long an operation waits for one thing before the flip. Then it is undone. */
  readonly patienceMs: number;
  /**
   * How long the joiner's searches may take to find the copied points before the flip. 0 leaves that to the time after
   * it.
   */
  readonly warmUpMs: number;
  /** The longest life of one attempt of an activity that writes points. */
  readonly attemptMs: number;
  /** An attempt without a heartbeat for this long is given up. */
  readonly heartbeatMs: number;
  /** Pause before a failed step is tried again: the first and the longest. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

/** How long a primary may stand still for one scan, unless the settings or the caller say otherwise. */
export const DEFAULT_SCAN_STOP_MAX_MS = 30_000;

export const DEFAULT_TIMINGS: Timings = {
  graceMs: 3_000,
  routerPatienceMs: 60_000,
  inFlightMs: 5_000,
  settleMs: 500,
  patienceMs: 120_000,
  warmUpMs: 300_000,
  attemptMs: 60_000,
  heartbeatMs: 10_000,
  retryFirstMs: 500,
  retryMaxMs: 15_000,
};

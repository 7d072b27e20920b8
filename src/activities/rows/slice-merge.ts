/**
 * The donors' slices and the receivers' slices of one collection. Each side is merged into one stream in byte order of
 * the ids, and both are walked side by side. Every id of the move comes by once, with the donor's row, the owner's row,
 * or both. Memory: one batch per shard.
 *
 * A cursor is taken between two ids. Each stream then stands behind its own last row before that place. So no stream of
 * a resumed merge has taken a row that another one has still to bring.
 */
import { PlacementPlan } from '../../domain/placement-plan';
import { PointWalk } from '../../shards/rows/point-walk';
import type { ActivityScope } from '../frame/run-activity';
import type { Move, WalkCursor } from '../../contract/move';
import { SliceStream, sidesOf, type Side } from './slice-stream';

/** Rows that come by between two looks at the clock. */
const ROWS_PER_LOOK = 1_024;

export interface MergeOptions extends Move {
  readonly collection: string;
  readonly cursor: WalkCursor | null;
  /** False: ids only. */
  readonly withPoints: boolean;
  /** True: a shard that lacks the collection holds nothing of it. False: that is a failure, NotFound. */
  readonly absentIsEmpty?: boolean;
}

/**
 * Called with the donor's stream, the owner's stream, or both; their heads are the rows. False: stop behind this one.
 */
export type MergeVisitor = (source: SliceStream | null, target: SliceStream | null) => boolean;

/** How a merge names a stream in a cursor: a shard may be on both sides. */
type StreamKey = `${Side} ${number}`;

export class SliceMerge {
  readonly #donors: readonly SliceStream[];
  readonly #receivers: readonly SliceStream[];
  readonly #streams: readonly SliceStream[];

  private constructor(streams: readonly SliceStream[]) {
    this.#streams = streams;
    this.#donors = streams.filter((stream) => stream.side === 'donor');
    this.#receivers = streams.filter((stream) => stream.side === 'receiver');
  }

  /** `restarted`: a row at which the cursor stood is gone, so all streams begin again. */
  static async open(
    { attempt, shards }: ActivityScope,
    options: MergeOptions,
  ): Promise<{ merge: SliceMerge; restarted: boolean }> {
    const plan = new PlacementPlan(options.placement);
    const sides = sidesOf(options.placement);
    const build = async (cursor: WalkCursor | null): Promise<SliceMerge | null> => {
      const stream = async (shardId: number, side: Side): Promise<SliceStream | null> => {
        const walk = new PointWalk({
          source: shards.ofMove(options, shardId),
          collection: options.collection,
          withPayload: options.withPoints,
          withVector: options.withPoints,
          from: positionIn(cursor, `${side} ${shardId}`, sides.donors.length),
          ctx: attempt.reading,
          absentIsEmpty: options.absentIsEmpty === true,
        });
        return (await walk.open()) ? new SliceStream({ shardId, side, walk, plan }) : null;
      };
      const streams = await Promise.all([
        ...sides.donors.map((id) => stream(id, 'donor')),
        ...sides.receivers.map((id) => stream(id, 'receiver')),
      ]);
      const opened = streams.filter((each) => each !== null);
      return opened.length === streams.length ? new SliceMerge(opened) : null;
    };
    const resumed = await build(options.cursor);
    if (resumed !== null) return { merge: resumed, restarted: false };
    const fromStart = await build(null);
    if (fromStart === null) throw new Error('a walk from the beginning did not open');
    return { merge: fromStart, restarted: true };
  }

  /** Walks on until both sides end (true), or until the visitor or `isTimeToStop` says so (false). */
  async walk(visit: MergeVisitor, isTimeToStop: () => boolean): Promise<boolean> {
    const waiting = this.#streams.filter((stream) => stream.head === null);
    await Promise.all(waiting.map((stream) => stream.fill(isTimeToStop)));
    for (let rows = 1; !this.#starved(); rows++) {
      const source = leastHead(this.#donors);
      const target = leastHead(this.#receivers);
      if (source === null && target === null) return true;
      const order = compareHeads(source, target);
      const taken = order <= 0 ? source : null;
      const matched = order >= 0 ? target : null;
      const goesOn = visit(taken, matched);
      if (taken !== null && !taken.advance()) await taken.fill(isTimeToStop);
      if (matched !== null && !matched.advance()) await matched.fill(isTimeToStop);
      if (!goesOn || (rows % ROWS_PER_LOOK === 0 && isTimeToStop())) return false;
    }
    return false;
  }

  /** Where each stream stands. Taken between two ids, never while one is being visited. */
  cursor(): WalkCursor {
    return { streams: this.#streams.map((stream) => ({ shardId: stream.shardId, ...stream.position() })) };
  }

  /**
   * The same after all rows of the slice that came by were deleted from the shards of `side`, except those that stay.
   */
  cursorAmongStaying(side: Side): WalkCursor {
    const position = (stream: SliceStream) =>
      stream.side === side ? stream.positionAmongStaying() : stream.position();
    return { streams: this.#streams.map((stream) => ({ shardId: stream.shardId, ...position(stream) })) };
  }

  streamsOf(side: Side): readonly SliceStream[] {
    return side === 'donor' ? this.#donors : this.#receivers;
  }

  /** No shard of that side has the collection. */
  isGoneFrom(side: Side): boolean {
    return this.streamsOf(side).every((stream) => stream.isAbsent);
  }

  rowsReadFrom(side: Side): number {
    return this.streamsOf(side).reduce((sum, stream) => sum + stream.rowsRead, 0);
  }

  get rowsRead(): number {
    return this.#streams.reduce((sum, stream) => sum + stream.rowsRead, 0);
  }

  /** Closes all connections before something that takes long. The next `walk` goes on where this one stopped. */
  async suspend(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.suspend()));
  }

  /** A stream was told to stop before it found its next row, so the order of what comes is unknown. */
  #starved(): boolean {
    for (const stream of this.#streams) if (stream.head === null && !stream.hasEnded) return true;
    return false;
  }
}

function leastHead(streams: readonly SliceStream[]): SliceStream | null {
  let least: SliceStream | null = null;
  for (const stream of streams) {
    if (stream.head === null) continue;
    if (least?.head == null || Buffer.compare(stream.head.id, least.head.id) < 0) least = stream;
  }
  return least;
}

/** Negative: only the source has the next id; positive: only the target; 0: both. */
function compareHeads(source: SliceStream | null, target: SliceStream | null): number {
  if (target?.head == null) return -1;
  if (source?.head == null) return 1;
  return Buffer.compare(source.head.id, target.head.id);
}

/** Streams stand in a cursor as they stand in a merge: donors first. */
function positionIn(cursor: WalkCursor | null, key: StreamKey, donors: number): WalkCursor['streams'][number] | null {
  if (cursor === null) return null;
  const [side, shardId] = key.split(' ');
  const ofSide = side === 'donor' ? cursor.streams.slice(0, donors) : cursor.streams.slice(donors);
  return ofSide.find((stream) => stream.shardId === Number(shardId)) ?? null;
}

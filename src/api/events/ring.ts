/**
 * What was told of one watched thing, newest last. It is bounded, and still knows the present state: the newest event of each topic.
 *
 * Ids rise by a step that no other ring of this moment has as its remainder. So an id that another process gave, or this one before its
 * restart, is not taken for an id of this ring: the reader gets the present state instead.
 */
import { createHash } from 'node:crypto';

export type EventName = 'operation' | 'map' | 'notices' | 'done';

/** Topics that long polls read too. */
export const OPERATION_TOPIC = 'operation';
export const MAP_TOPIC = 'map';

export interface NewEvent {
  /** Of what it is the newest word: a later event of the same topic replaces it in the present state. */
  readonly topic: string;
  readonly event: EventName;
  /** JSON in one line. */
  readonly data: string;
  /** Of what the event shows, as REST serves it. */
  readonly etag: string;
}

export interface ToldEvent extends NewEvent {
  readonly id: number;
  /** As it goes over the wire. All readers are sent the same bytes. */
  readonly bytes: Buffer;
}

export interface RingOptions {
  /** ms since the epoch. Ids begin with it, so that they rise over restarts. */
  readonly startedAtMs: number;
  /** A whole number from 0 to ID_STEP - 1, by chance. */
  readonly remainder: number;
  readonly eventsMax?: number;
  readonly bytesMax?: number;
}

/** Milliseconds since the epoch, times this, stay below 2^53. */
export const ID_STEP = 1_024;
const EVENTS_MAX = 256;
const BYTES_MAX = 256 * 1024;

export class EventRing {
  private readonly firstId: number;
  private readonly eventsMax: number;
  private readonly bytesMax: number;
  private readonly kept: ToldEvent[] = [];
  private readonly newest = new Map<string, ToldEvent>();
  private keptBytes = 0;
  private nextId: number;

  constructor({ startedAtMs, remainder, eventsMax = EVENTS_MAX, bytesMax = BYTES_MAX }: RingOptions) {
    this.firstId = startedAtMs * ID_STEP + remainder;
    this.nextId = this.firstId;
    this.eventsMax = eventsMax;
    this.bytesMax = bytesMax;
  }

  /** Of the newest event; null before the first. */
  get lastId(): number | null {
    return this.nextId === this.firstId ? null : this.nextId - ID_STEP;
  }

  add(event: NewEvent): ToldEvent {
    const id = this.nextId;
    this.nextId += ID_STEP;
    const bytes = Buffer.from(`id: ${id}\nevent: ${event.event}\ndata: ${event.data}\n\n`);
    const told = { ...event, id, bytes };
    this.newest.set(event.topic, told);
    this.kept.push(told);
    this.keptBytes += bytes.length;
    while (this.kept.length > this.eventsMax || (this.keptBytes > this.bytesMax && this.kept.length > 1)) {
      this.keptBytes -= this.kept.shift()?.bytes.length ?? 0;
    }
    return told;
  }

  /** Takes a topic out of the present state. */
  forget(topic: string): void {
    this.newest.delete(topic);
  }

  newestOf(topic: string): ToldEvent | null {
    return this.newest.get(topic) ?? null;
  }

  /** The present state, in the order of ids. */
  present(): readonly ToldEvent[] {
    return [...this.newest.values()].sort((a, b) => a.id - b.id);
  }

  /** What was told after this id; null when the id is not known, or something after it is not kept any more. */
  after(id: number): readonly ToldEvent[] | null {
    const isOurs = id >= this.firstId && id < this.nextId && (id - this.firstId) % ID_STEP === 0;
    const oldest = this.kept[0];
    if (!isOurs || oldest === undefined || id < oldest.id - ID_STEP) return null;
    return this.kept.filter((each) => each.id > id);
  }
}

export function etagOf(text: string): string {
  return `"${createHash('sha256').update(text).digest('hex').slice(0, 16)}"`;
}

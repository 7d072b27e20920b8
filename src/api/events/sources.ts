/**
 * What the lookouts look at. Each look begins with the stamp of a history, which costs Temporal little. Workflows are asked only when the
 * stamp has changed, because a query costs 6 to 10 ms of a worker.
 */
import type { ClusterState } from '../../domain/cluster-state';
import { ClientError } from '../../client/calls/errors';
import type { HistoryStamps } from '../../client/operations/history-stamps';
import type { MapChanged } from '../../wire/events';
import type { ApiDeps } from '../deps';
import { OperationReader } from '../operation-reader';
import { viewOfNotices } from '../views/notices';
import { EventHub, type EventHubOptions } from './hub';
import { etagOf, MAP_TOPIC, OPERATION_TOPIC, type EventName, type NewEvent } from './ring';
import { sharing } from './shared-run';
import type { Found, Source } from './lookout';

type Parts = Pick<ApiDeps, 'client' | 'mapReader' | 'cluster' | 'namespace' | 'webUiUrl' | 'logger'> & {
  readonly stamps: Pick<HistoryStamps, 'ofCluster' | 'ofOperation'>;
};

interface SeenOperation {
  readonly text: string;
  readonly isOver: boolean;
}

/** Operations that are looked at one after another by several lookouts: what one look found is known to the others. */
const OPERATIONS_KNOWN_MAX = 64;
/** Of the operations that run, the stream of the cluster tells of so many. */
const OPERATIONS_FOLLOWED_MAX = 8;
const NOTICES_TOPIC = 'notices';
const DONE_TOPIC = 'done';

export function createEventHub(parts: Parts, bounds: Omit<EventHubOptions, 'sources' | 'logger'> = {}): EventHub {
  const looks = new OperationLooks(parts);
  return new EventHub({
    sources: {
      cluster: () => new ClusterSource(parts, looks),
      operation: (operationId) => new OperationSource(operationId, looks),
    },
    logger: parts.logger,
    ...bounds,
  });
}

const eventOf = (topic: string, event: EventName, data: string): NewEvent => ({
  topic,
  event,
  data,
  etag: etagOf(data),
});

// ---- One operation ----

class OperationLooks {
  private readonly parts: Parts;
  private readonly reader: OperationReader;
  private readonly known = new Map<string, () => Promise<SeenOperation>>();

  constructor(parts: Parts) {
    this.parts = parts;
    this.reader = new OperationReader(parts);
  }

  /** As `GET /cluster/operations/{id}` shows it. @throws ClientError */
  look(operationId: string): Promise<SeenOperation> {
    const known = this.known.get(operationId) ?? this.lookOf(operationId);
    this.known.delete(operationId);
    this.known.set(operationId, known);
    const [oldest] = this.known.keys();
    if (this.known.size > OPERATIONS_KNOWN_MAX && oldest !== undefined) this.known.delete(oldest);
    return known();
  }

  private lookOf(operationId: string): () => Promise<SeenOperation> {
    let last: { readonly stamp: string; readonly seen: SeenOperation } | null = null;
    return sharing(async () => {
      const stamp = await this.stampOf(operationId);
      if (last !== null && last.stamp === stamp) return last.seen;
      const view = await this.reader.showOperation(operationId);
      const seen = { text: JSON.stringify(view), isOver: view.status !== 'running' };
      // Without a phase it is the record, because the workflow did not answer: the next look asks it again.
      last = stamp === null || view.phase === null ? null : { stamp, seen };
      return seen;
    });
  }

  /** Null when there is none: the record may be all that is left of the operation. */
  private async stampOf(operationId: string): Promise<string | null> {
    try {
      return await this.parts.stamps.ofOperation(operationId);
    } catch (error) {
      if (error instanceof ClientError) return null;
      throw error;
    }
  }
}

class OperationSource implements Source {
  private readonly operationId: string;
  private readonly looks: OperationLooks;
  private told: string | null = null;

  constructor(operationId: string, looks: OperationLooks) {
    this.operationId = operationId;
    this.looks = looks;
  }

  async look(): Promise<Found> {
    const { text, isOver } = await this.looks.look(this.operationId);
    // A recovery may run again under the id of one that has ended.
    const gone = isOver ? [] : [DONE_TOPIC];
    if (text === this.told) return { events: [], gone, isOver };
    this.told = text;
    const shown = eventOf(OPERATION_TOPIC, 'operation', text);
    return { events: isOver ? [shown, eventOf(DONE_TOPIC, 'done', text)] : [shown], gone, isOver };
  }
}

// ---- The cluster ----

class ClusterSource implements Source {
  private readonly parts: Parts;
  private readonly looks: OperationLooks;
  private stamp: string | null = null;
  private operations: ClusterState['operations'] = [];
  /** By topic, what was told last. */
  private readonly told = new Map<string, string>();
  /** Those that were told as running, and the newest one. */
  private followed: readonly string[] = [];
  private readonly over = new Set<string>();

  constructor(parts: Parts, looks: OperationLooks) {
    this.parts = parts;
    this.looks = looks;
  }

  async look(): Promise<Found> {
    const stamp = await this.parts.stamps.ofCluster();
    const ofCluster = stamp === this.stamp ? [] : await this.lookAtCluster(stamp);
    const before = this.followed;
    this.followed = this.toFollow();
    const ofOperations = await Promise.all(this.followed.map((id) => this.lookAtOperation(id)));
    const gone = before.filter((id) => !this.followed.includes(id));
    for (const id of gone) {
      this.told.delete(topicOf(id));
      this.over.delete(id);
    }
    return { events: [...ofCluster, ...ofOperations.flat()], gone: gone.map(topicOf), isOver: false };
  }

  private async lookAtCluster(stamp: string): Promise<readonly NewEvent[]> {
    const { client, mapReader } = this.parts;
    const [state, reading] = await Promise.all([client.queryState(), mapReader.readMap()]);
    this.operations = state.operations;
    const events: NewEvent[] = [];
    if (reading.kind !== 'unknown') {
      const { map, etag } = reading.served;
      const data: MapChanged = { version: map.version };
      const event = { topic: MAP_TOPIC, event: 'map', data: JSON.stringify(data), etag } as const;
      if (this.isNew(MAP_TOPIC, etag)) events.push(event);
    }
    const notices = eventOf(NOTICES_TOPIC, 'notices', JSON.stringify(viewOfNotices(state.notices)));
    if (this.isNew(NOTICES_TOPIC, notices.data)) events.push(notices);
    // A map that could not be read now is tried again at the next look.
    this.stamp = reading.kind === 'fresh' ? stamp : null;
    return events;
  }

  /** Those that run, those whose end was not told yet, and the newest one: so that a reader sees what came of it. */
  private toFollow(): readonly string[] {
    const running = this.operations.filter(({ end }) => end === null).map(({ operationId }) => operationId);
    const untold = this.followed.filter((id) => !this.over.has(id));
    const newest = this.operations.slice(0, 1).map(({ operationId }) => operationId);
    return [...new Set([...newest, ...running, ...untold])].slice(0, OPERATIONS_FOLLOWED_MAX);
  }

  private async lookAtOperation(operationId: string): Promise<readonly NewEvent[]> {
    // A recovery may run again under the id of one that has ended.
    const runs = this.operations.some((each) => each.operationId === operationId && each.end === null);
    if (this.over.has(operationId) && !runs) return [];
    try {
      const { text, isOver } = await this.looks.look(operationId);
      if (isOver) this.over.add(operationId);
      else this.over.delete(operationId);
      const topic = topicOf(operationId);
      return this.isNew(topic, text) ? [eventOf(topic, 'operation', text)] : [];
    } catch (error) {
      // One that cannot be looked at now does not keep back what is known of the others.
      if (!(error instanceof ClientError)) throw error;
      if (error.code === 'UnknownOperation') this.over.add(operationId);
      return [];
    }
  }

  private isNew(topic: string, told: string): boolean {
    if (this.told.get(topic) === told) return false;
    this.told.set(topic, told);
    return true;
  }
}

const topicOf = (operationId: string): string => `${OPERATION_TOPIC} ${operationId}`;

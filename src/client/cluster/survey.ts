/** What is left of a cluster whose workflow is gone: others remember what a lost Temporal does not. */
import type { Logger } from 'pino';
import { isBehind, type WitnessedState } from '../../domain/witnessed';
import type { FoundRouters } from '../../domain/router-entries';
import type { KnownState } from '../../domain/restored-state';
import { isSameMap, normalizeMap, type ShardMap } from '../../domain/shard-map';
import { clusterWorkflowId } from '../../contract/ids';
import { CallTimedOutError } from '../calls/bounded';
import type { Witness } from './witness';

/** What the router at this URL holds. `map` is null when only its version can be read. Gives up at the deadline (ms since the epoch). */
export type AskRouter = (url: string, deadlineMs: number) => Promise<{ version: number; map: ShardMap | null }>;

export interface ClusterTracesOptions {
  readonly namespace: string;
  readonly cluster: string;
  readonly witness: Pick<Witness, 'workflowId' | 'file' | 'readRecord' | 'exists' | 'readFile'>;
  /** The routers of the list as it was last known, or the setting's: the cluster itself may be gone. */
  readonly routerUrls: readonly string[] | (() => Promise<FoundRouters>);
  readonly askRouter: AskRouter;
  readonly logger: Logger;
}

export interface Unread {
  readonly source: KnownState['source'];
  readonly where: string;
  readonly reason: string;
}

/** All that could be found out. */
export interface Survey {
  readonly known: readonly KnownState[];
  /** Versions whose map cannot be used: of routers, and of a file that belongs to another cluster of the same name. */
  readonly unusable: readonly { readonly where: string; readonly version: number }[];
  /** They exist and cannot be read: each may know a later version than all others (INV-8). */
  readonly unread: readonly Unread[];
  /** Routers that did not answer. They are no sign of a cluster, since a router needs none to be configured. */
  readonly silentRouters: readonly { readonly where: string; readonly reason: string }[];
}

const ROUTER_PATIENCE_MS = 3_000;
/** Every reader of a lost cluster's map asks, so one finding is good for this long. */
const FINDING_LIFE_MS = 5_000;

export class ClusterTraces {
  private readonly options: ClusterTracesOptions;
  private finding: { readonly detail: Promise<string | null>; readonly untilMs: number } | null = null;

  constructor(options: ClusterTracesOptions) {
    this.options = options;
  }

  /** Says that the cluster was lost, and what of it was found where; null when there is no sign of it. Remembered for some seconds. */
  lostDetail(): Promise<string | null> {
    if (this.finding === null || this.finding.untilMs < Date.now()) {
      const detail = this.lostSince(null);
      detail.catch(() => (this.finding = null));
      this.finding = { detail, untilMs: Date.now() + FINDING_LIFE_MS };
    }
    return this.finding.detail;
  }

  /**
   * The same for a cluster that would begin with `first`: it was lost when something knows more than that. INV-1: routers would ignore a
   * cluster that begins below the version they hold, and then misread it, because the same versions would mean other maps.
   */
  async lostSince(first: WitnessedState | null): Promise<string | null> {
    const { cluster, namespace, logger } = this.options;
    const survey = await this.survey();
    for (const { where, reason } of survey.silentRouters) {
      logger.warn(
        { router: where, reason },
        'a router did not say which map it holds, and the cluster has no workflow',
      );
    }
    const firstVersion = first?.map.version ?? 0;
    const traces = [
      ...survey.known.filter((known) => isLater(known, first)).map(({ where, map }) => version(where, map.version)),
      ...survey.unusable.filter((each) => each.version > firstVersion).map((each) => version(each.where, each.version)),
      ...survey.unread.map(({ where, reason }) => `${where} exists and cannot be read (${reason})`),
    ];
    if (traces.length === 0) return null;
    return `workflow ${clusterWorkflowId(cluster)} does not exist in namespace ${namespace}, but the cluster did: ${traces.join(', ')}`;
  }

  /** Asks the witness and the routers side by side, within a few seconds. Rejects when Temporal does not answer. */
  async survey(): Promise<Survey> {
    const [ofTemporal, ofRouters] = await Promise.all([this.surveyWitness(), this.surveyRouters()]);
    return {
      known: [...ofTemporal.known, ...ofRouters.known],
      unusable: [...ofTemporal.unusable, ...ofRouters.unusable],
      unread: ofTemporal.unread,
      silentRouters: ofRouters.silentRouters,
    };
  }

  private async surveyWitness(): Promise<Omit<Survey, 'silentRouters'>> {
    const { witness } = this.options;
    const known: KnownState[] = [];
    const unusable: { where: string; version: number }[] = [];
    const unread: Unread[] = [];
    const where = `workflow ${witness.workflowId}`;
    const record = await this.recordOrReason();
    if (record instanceof Error) unread.push({ source: 'published workflow', where, reason: record.message });
    else if (record?.state != null) known.push({ source: 'published workflow', where, ...record.state });

    const file = await witness.readFile();
    const path = `file ${witness.file?.path ?? ''}`;
    if (file.kind === 'unreadable') unread.push({ source: 'published file', where: path, reason: file.reason });
    if (file.kind === 'known') {
      const isForeign = record !== null && !(record instanceof Error) && record.lineage !== file.lineage;
      if (isForeign) unusable.push({ where: path, version: file.state.map.version });
      else known.push({ source: 'published file', where: path, ...file.state });
    }
    return { known, unusable, unread };
  }

  /** Reading the record needs a worker. A record that exists and cannot be read is a trace of the cluster as well. */
  private async recordOrReason() {
    const { witness } = this.options;
    try {
      return await witness.readRecord();
    } catch (error) {
      if (!(await witness.exists())) return null;
      if (error instanceof CallTimedOutError) return new Error('no worker answers');
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  private async surveyRouters(): Promise<Omit<Survey, 'unread'>> {
    const { routerUrls, askRouter } = this.options;
    const found = typeof routerUrls === 'function' ? await routerUrls() : null;
    const urls = typeof routerUrls === 'function' ? (found?.routers ?? []).map(({ url }) => url) : routerUrls;
    const deadlineMs = Date.now() + ROUTER_PATIENCE_MS;
    const known: KnownState[] = [];
    const unusable: { where: string; version: number }[] = [];
    const silentRouters = (found?.unknown ?? []).map(({ entry, reason }) => ({ where: `routers of ${entry}`, reason }));
    await Promise.all(
      urls.map(async (url) => {
        const where = `router ${url}`;
        try {
          const { version: held, map } = await askRouter(url, deadlineMs);
          if (map === null) unusable.push({ where, version: held });
          else known.push({ source: 'router', where, map, nextId: null, lock: null });
        } catch (error) {
          silentRouters.push({ where, reason: error instanceof Error ? error.message : String(error) });
        }
      }),
    );
    return { known, unusable, silentRouters };
  }
}

/**
 * A router that never read a map holds its own settings as version 0, which is no sign. Any other version comes from a
 * coordinator: it is a sign when it is later, or means another map.
 */
function isLater(known: KnownState, first: WitnessedState | null): boolean {
  const { source, map, nextId, lock } = known;
  if (source === 'router' || nextId === null) {
    const firstVersion = first?.map.version ?? 0;
    if (map.version !== firstVersion || first === null) return map.version > firstVersion;
    return map.version > 0 && !isSameMap(inNormalForm(map), first.map);
  }
  return first === null || isBehind(first, { map, nextId, lock });
}

/** A router holds URLs as it was given them. */
function inNormalForm(map: ShardMap): ShardMap {
  try {
    return normalizeMap(map);
  } catch {
    return map;
  }
}

const version = (where: string, held: number): string => `${where} holds version ${held}`;

/** The witness's copy in a file: what is left of a cluster when its namespace was wiped. */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { laterWitnessed, witnessedPart, type WitnessedState } from '../../domain/witnessed';
import { DomainError } from '../../domain/errors';
import { normalizeMap } from '../../domain/shard-map';
import { describeIssues } from '../../wire/problem';
import { witnessFileSchema } from '../../wire/witness-file';

/** A file that is there and cannot be read is not the same as none: the cluster may have existed (INV-8). */
export type FileReading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'known'; readonly state: WitnessedState; readonly lineage: string | null };

export class WitnessFile {
  readonly path: string;
  private readonly logger: Logger;
  private isTroubled = false;
  private writes = 0;

  constructor(path: string, logger: Logger) {
    this.path = path;
    this.logger = logger;
  }

  async readCopy(): Promise<FileReading> {
    try {
      const parsed = witnessFileSchema.safeParse(JSON.parse(await readFile(this.path, 'utf8')));
      if (!parsed.success) return { kind: 'unreadable', reason: describeIssues(parsed.error) };
      const { next_id: nextId, map, lineage, ...rest } = parsed.data;
      return { kind: 'known', state: witnessedPart({ ...rest, map: normalizeMap(map), nextId }), lineage };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return { kind: 'absent' };
      const reason = error instanceof DomainError ? error.message : (code ?? 'it is not JSON');
      return { kind: 'unreadable', reason };
    }
  }

  /**
   * Never lowers what the same record has written. Never fails: the file is the second copy, so a folder that cannot be written (a read-only
   * container) is logged once and is no reason to stop. Two processes that write the file in the same moment may leave the older of two
   * versions in it; the next write puts it right.
   */
  async writeCopy(state: WitnessedState, lineage: string): Promise<void> {
    try {
      const before = await this.readCopy();
      const isSameRecord = before.kind === 'known' && before.lineage === lineage;
      const later = isSameRecord ? laterWitnessed(before.state, state) : state;
      if (isSameRecord && later === before.state) return;
      const { nextId, ...rest } = witnessedPart(later);
      await this.replace({ next_id: nextId, ...rest, lineage });
      this.isTroubled = false;
    } catch (error) {
      if (!this.isTroubled) {
        this.logger.warn(
          { file: this.path, reason: error instanceof Error ? error.message : String(error) },
          'the witness cannot keep its copy in a file, only in Temporal: only the routers would show that a namespace was wiped',
        );
      }
      this.isTroubled = true;
    }
  }

  /** Whole or not at all, also when the machine loses its power. */
  private async replace(content: object): Promise<void> {
    const folder = dirname(this.path);
    await mkdir(folder, { recursive: true });
    const draft = `${this.path}.${process.pid}-${++this.writes}`;
    try {
      await writeThrough(draft, `${JSON.stringify(content)}\n`);
      await rename(draft, this.path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  }
}

async function writeThrough(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

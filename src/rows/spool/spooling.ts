import { SpoolWriter, type Spool } from './spool';

/** One spool for each collection of a scan, which brings the rows of a collection in one piece and in order. */
export class Spooling {
  rows = 0;
  readonly #folder: string;
  readonly #writers = new Map<string, SpoolWriter>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  add(collection: string, id: Buffer, digest: Buffer): void {
    let writer = this.#writers.get(collection);
    if (writer === undefined) this.#writers.set(collection, (writer = new SpoolWriter(this.#folder)));
    writer.add(id, digest);
    this.rows += 1;
  }

  finish(): Map<string, Spool> {
    return new Map([...this.#writers].map(([collection, writer]) => [collection, writer.finish()]));
  }

  discard(): void {
    for (const writer of this.#writers.values()) writer.discard();
    this.#writers.clear();
  }
}

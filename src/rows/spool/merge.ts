/** Several sorted runs of rows as one, in byte order of the id. */
export interface WithId {
  readonly id: Buffer;
}

/** One id, and what each run holds of it (null when it has none), in the order of the runs. */
export interface Merged<T extends WithId> {
  readonly id: Buffer;
  readonly rows: readonly (T | null)[];
}

/** Every run is sorted and holds an id at most once. */
export function* merge<T extends WithId>(runs: readonly Iterable<T>[]): Generator<Merged<T>> {
  const iterators = runs.map((run) => run[Symbol.iterator]());
  const heads = iterators.map((iterator) => next(iterator));
  for (;;) {
    let least: Buffer | null = null;
    for (const head of heads) if (head !== null && (least === null || head.id.compare(least) < 0)) least = head.id;
    if (least === null) return;
    const id: Buffer = least;
    const rows = heads.map((head) => (head?.id.equals(id) === true ? head : null));
    yield { id, rows };
    rows.forEach((row, index) => {
      const iterator = iterators[index];
      if (row !== null && iterator !== undefined) heads[index] = next(iterator);
    });
  }
}

function next<T>(iterator: Iterator<T>): T | null {
  const taken = iterator.next();
  return taken.done === true ? null : taken.value;
}

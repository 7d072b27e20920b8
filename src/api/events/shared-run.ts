/** All callers share a run that begins after their call, and one run is under way at a time: so each sees what is true after it asked. */
export function sharing<T>(run: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;
  const begin = (): Promise<T> => {
    next = null;
    const begun = run();
    underWay = begun.catch(() => undefined);
    return begun;
  };
  return () => (next ??= underWay.then(begin));
}

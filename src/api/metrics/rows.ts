/** A metric that one look at the cluster gives is a row of a table: its name, its words, and what it shows of the facts. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Facts } from './facts';

/** What is not known has no sample: null is left out, and never shown as 0 (INV-8). */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number | null;
}

export interface MetricRow {
  readonly name: string;
  readonly help: string;
  /** Each one has a bounded set of values: no id but those of shards, and no address but those of routers. */
  readonly labels?: readonly string[];
  /** Rises only, since the process began. */
  readonly isCounter?: true;
  readonly show: (facts: Facts) => readonly Sample[];
}

/** A metric of one sample. */
export const one = (value: number | boolean | null): readonly Sample[] => [
  { value: typeof value === 'boolean' ? Number(value) : value },
];

/** Registers the rows. The function that it returns puts the facts into all of them, in one turn. */
export function registerRows(rows: readonly MetricRow[], registry: Registry): (facts: Facts) => void {
  const shown = rows.map((row) => ({ row, put: putInto(row, registry) }));
  return (facts) => {
    for (const { row, put } of shown) put(row.show(facts));
  };
}

function putInto({ name, help, labels = [], isCounter }: MetricRow, registry: Registry) {
  const config = { name, help, labelNames: [...labels], registers: [registry] };
  const metric = isCounter === true ? new Counter(config) : new Gauge(config);
  const put = (samples: readonly Sample[]): void => {
    metric.reset();
    // After a reset a metric without labels is 0.
    if (labels.length === 0) metric.remove();
    for (const sample of samples) if (sample.value !== null) metric.inc({ ...sample.labels }, sample.value);
  };
  put([]);
  return put;
}

/** The page that Prometheus reads: one registry per process part, and no state that two of them share. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ClusterLook } from './cluster-look';
import { HttpMeter } from './http-meter';
import { CLUSTER_ROWS } from './of-cluster';
import { OPERATION_ROWS } from './of-operations';
import { registerRows } from './rows';

/** The text of Temporal's own library, in the same format. Never rejects, and settles in time; empty when there is none. */
export type ReadCore = () => Promise<string>;

export interface MetricsPageOptions {
  readonly cluster: string;
  readonly role: string;
  /** Whether the page needs no key. */
  readonly isOpen?: boolean;
  /** Absent: the page shows no process. Two pages with one would count its garbage collections twice. */
  readonly showsProcess?: boolean;
  readonly readCore?: ReadCore | null;
}

/** prom-client calls these `_total`, and they are no counters. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Of any process: a worker has no more. */
export class MetricsPage {
  readonly registry = new Registry();
  readonly isOpen: boolean;
  private readonly readCore: ReadCore | null;

  constructor({ cluster, role, isOpen = false, showsProcess = false, readCore = null }: MetricsPageOptions) {
    this.isOpen = isOpen;
    this.readCore = readCore;
    new Gauge({
      name: 'coordinator_info',
      help: 'Always 1, with the name of the cluster and the role of this process.',
      labelNames: ['cluster', 'role'],
      registers: [this.registry],
    }).set({ cluster, role }, 1);
    if (!showsProcess) return;
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  async render(): Promise<string> {
    const [core] = await Promise.all([this.readCore?.() ?? '', this.refresh()]);
    return `${await this.registry.metrics()}${core}`;
  }

  protected refresh(): Promise<void> {
    return Promise.resolve();
  }
}

/** Of a process that serves the API. */
export class ApiMetricsPage extends MetricsPage {
  readonly meter: HttpMeter;
  private readonly look: ClusterLook;
  private readonly show: ReturnType<typeof registerRows>;

  constructor({ look, ...options }: MetricsPageOptions & { readonly look: ClusterLook }) {
    super(options);
    this.look = look;
    this.show = registerRows([...CLUSTER_ROWS, ...OPERATION_ROWS], this.registry);
    this.meter = new HttpMeter(this.registry);
  }

  protected override async refresh(): Promise<void> {
    this.show(await this.look.facts());
  }
}

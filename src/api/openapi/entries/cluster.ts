import { READS } from '../codes';
import { EVENTS, type RouteEntry } from '../entry';

/** The probes, the map, and what the API tells of itself. */
export const CLUSTER_ENTRIES: readonly RouteEntry[] = [
  {
    method: 'get',
    path: '/healthz',
    role: null,
    summary: 'tells that the process runs',
    answer: { media: 'text/plain', holds: '`ok`' },
  },
  {
    method: 'get',
    path: '/readyz',
    role: null,
    summary: 'tells whether this API can serve a map',
    answer: { media: 'text/plain', holds: '`ok`' },
    answerHeaders: ['Coordinator-Notices'],
    refusals: [...READS, 'WorkflowTaskFails'],
  },
  {
    method: 'get',
    path: '/cluster/map',
    role: 'read',
    summary: 'the shard map, as routers poll it',
    parameters: ['ifNoneMatch', 'prefer'],
    answer: 'ShardMap',
    answerHeaders: ['ETag', 'Preference-Applied', 'Coordinator-Map-Stale', 'Warning'],
    others: { 304: 'the caller holds the newest map' },
    refusals: [...READS, 'TooManySubscribers'],
  },
  {
    method: 'get',
    path: '/cluster/health',
    role: 'read',
    summary: 'does the primary of each shard answer, by shard id',
    answer: 'ClusterHealth',
    refusals: READS,
  },
  {
    method: 'get',
    path: '/cluster/doctor',
    role: 'read',
    summary: 'what the API and a worker see of Temporal and of the shards, within about 20 s',
    answer: 'Diagnosis',
  },
  {
    method: 'get',
    path: '/cluster/events',
    role: 'read',
    summary: 'each change of the map, of the notices and of running operations while it happens',
    parameters: ['lastEventId'],
    answer: EVENTS,
    refusals: [...READS, 'TooManySubscribers'],
  },
  {
    method: 'get',
    path: '/metrics',
    role: 'read',
    summary: 'the metrics of this process and of the cluster',
    answer: { media: 'text/plain', holds: 'metrics as Prometheus reads them' },
  },
  {
    method: 'get',
    path: '/openapi.json',
    role: null,
    summary: 'this document',
    answer: 'OpenApi',
  },
  {
    method: 'get',
    path: '/docs',
    role: null,
    summary: 'this document, as a page to read',
    answer: { media: 'text/html', holds: 'the page' },
  },
];

/**
 * The house: what each room of src may import. ESLint holds every import to this table as it is written (eslint.config.js), and
 * test/house.test.ts also fails on an entry that nothing uses.
 */
const { dirname, posix, relative, resolve } = require('node:path');

const SRC = resolve(__dirname, 'src');

/**
 * By folder of src: the other rooms (a folder or one file of it) and the packages. `node:*` stands for all of Node's own modules. A folder
 * below a room belongs to it unless it has a row of its own. Files directly in src put the parts together, and may import all.
 */
const HOUSE = {
  domain: { rooms: [], packages: [] },
  wire: { rooms: ['domain'], packages: ['zod'] },
  // Of the SDK only what defines messages and search attributes.
  contract: { rooms: ['domain'], packages: ['@temporalio/common', '@temporalio/workflow'] },
  config: {
    rooms: ['domain', 'wire', 'shards/reach/key-file'],
    packages: ['@temporalio/envconfig', 'smol-toml', 'node:*'],
  },
  // The trace that code runs in, and who records it. Only `otlp` knows OpenTelemetry, and loads it when it is asked for.
  tracing: { rooms: ['domain'], packages: ['node:*'] },
  'tracing/otlp': {
    rooms: ['domain', 'tracing'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/core',
      '@opentelemetry/exporter-trace-otlp-proto',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace-base',
      'node:*',
    ],
  },
  shards: { rooms: ['domain', 'wire', 'tracing'], packages: ['undici', 'node:*'] },
  client: {
    rooms: ['domain', 'wire', 'contract', 'tracing'],
    packages: ['@temporalio/client', '@temporalio/common', 'pino', 'node:*'],
  },
  workflows: { rooms: ['domain', 'contract'], packages: ['@temporalio/workflow'] },

  // The engine of a move, written over ports. Only its remote part knows of a network, and runs in a thread of its own.
  rows: { rooms: ['domain', 'contract'], packages: ['node:*'] },
  'rows/remote': { rooms: ['domain', 'shards', 'rows'], packages: ['undici', 'node:*'] },
  'rows/thread': { rooms: ['domain', 'shards', 'rows', 'tracing'], packages: ['node:*'] },

  // cluster, preflight, move, repair → collections → rows → frame: arrows point to the right only.
  activities: {
    rooms: [
      'contract',
      'rows',
      'activities/cluster',
      'activities/preflight',
      'activities/move',
      'activities/repair',
      'activities/hooks',
      'activities/collections',
      'activities/frame',
    ],
    packages: ['node:*'],
  },
  'activities/cluster': { rooms: ['contract', 'client', 'activities/frame'], packages: ['@temporalio/activity'] },
  'activities/preflight': {
    rooms: ['domain', 'contract', 'shards', 'rows', 'activities/collections', 'activities/rows', 'activities/frame'],
    packages: ['node:*'],
  },
  'activities/move': {
    rooms: ['domain', 'contract', 'shards', 'rows', 'activities/rows', 'activities/frame'],
    packages: [],
  },
  'activities/repair': {
    rooms: ['contract', 'rows', 'activities/rows', 'activities/frame'],
    packages: [],
  },
  'activities/hooks': {
    rooms: ['domain', 'contract', 'client', 'activities/frame'],
    packages: ['@temporalio/activity', '@temporalio/common', 'undici'],
  },
  'activities/collections': {
    rooms: ['domain', 'contract', 'shards', 'activities/frame'],
    packages: ['@temporalio/activity'],
  },
  'activities/rows': {
    rooms: ['domain', 'contract', 'rows', 'activities/frame'],
    packages: ['@temporalio/activity'],
  },
  'activities/frame': {
    rooms: ['domain', 'contract', 'shards', 'rows', 'client'],
    packages: ['@temporalio/activity', '@temporalio/client', '@temporalio/common', 'pino', 'undici', 'node:*'],
  },

  // app → routes → events → views, map, http. What all of them are given is in deps.ts.
  api: {
    rooms: [
      'domain',
      'wire',
      'contract',
      'client',
      'tracing',
      'api/routes',
      'api/page',
      'api/events',
      'api/views',
      'api/map',
      'api/metrics',
      'api/openapi',
      'api/http',
    ],
    packages: ['express', 'pino', 'node:*'],
  },
  // The status page: its files for the browser are in `static`, and import only each other.
  'api/page': { rooms: ['api/deps', 'api/http'], packages: ['express', 'node:*'] },
  'api/routes': {
    rooms: [
      'domain',
      'wire',
      'contract',
      'api/deps',
      'api/operation-reader',
      'api/events',
      'api/views',
      'api/map',
      'api/http',
    ],
    packages: ['express', 'zod', 'node:*'],
  },
  'api/events': {
    rooms: [
      'domain',
      'wire',
      'contract',
      'client',
      'tracing',
      'api/deps',
      'api/operation-reader',
      'api/views',
      'api/http',
    ],
    packages: ['express', 'pino', 'node:*'],
  },
  'api/views': { rooms: ['domain', 'wire', 'contract', 'client'], packages: [] },
  // The route table, and the document that is made of it.
  'api/openapi': { rooms: ['domain', 'wire', 'api/http'], packages: ['express', 'zod', 'node:*'] },
  'api/map': { rooms: ['domain', 'client', 'api/http'], packages: ['pino', 'node:*'] },
  'api/metrics': {
    rooms: ['domain', 'client', 'api/map', 'api/http'],
    packages: ['express', 'pino', 'prom-client', 'node:*'],
  },
  'api/http': {
    rooms: ['domain', 'wire', 'contract', 'client', 'config', 'tracing'],
    packages: ['express', 'pino', 'undici', 'zod', 'node:*'],
  },

  // The command line talks REST, so it knows the shapes of the wire and nothing of the service. main.ts hands that to it.
  cli: {
    rooms: ['config', 'wire', 'cli/commands', 'cli/output', 'cli/rest'],
    packages: ['commander', 'node:*'],
  },
  'cli/commands': {
    rooms: ['config', 'wire', 'cli'],
    packages: ['commander', 'node:*'],
  },
  'cli/doctor': { rooms: ['config', 'wire', 'cli'], packages: ['node:*'] },
  'cli/output': { rooms: ['wire', 'cli'], packages: [] },
  'cli/rest': { rooms: ['wire', 'cli'], packages: ['zod'] },

  temporal: {
    rooms: ['domain', 'contract', 'config', 'client/calls/large-payloads', 'tracing'],
    packages: [
      '@grpc/grpc-js',
      '@temporalio/activity',
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/worker',
      'pino',
      'node:*',
    ],
  },
  'temporal/dev-server': { rooms: [], packages: ['@temporalio/client', 'pino', 'node:*'] },
};

/** The room of a path below src, as in `shards/http/paths`; null for the files directly in src. */
function roomOf(path) {
  const rooms = Object.keys(HOUSE).filter((room) => isIn(path, room));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? null;
}

function isIn(path, room) {
  return path === room || path.startsWith(`${room}/`);
}

function pathInSrc(file) {
  return relative(SRC, file).split('\\').join(posix.sep);
}

/**
 * What the table says of one import, `file` being absolute. `room`: of the file, null when it may import all. `entry`: what of the table
 * allows the import; null when nothing does, or when nothing has to because it stays in the room.
 */
function look(file, specifier) {
  const room = roomOf(pathInSrc(dirname(file)));
  if (room === null) return { room, entry: null, isAllowed: true };
  const { rooms, packages } = HOUSE[room];
  if (specifier.startsWith('.')) {
    const target = pathInSrc(resolve(dirname(file), specifier));
    if (roomOf(target) === room) return { room, entry: null, isAllowed: true };
    const entry = rooms.find((each) => isIn(target, each)) ?? null;
    return { room, entry, isAllowed: entry !== null };
  }
  const name = specifier.startsWith('node:') ? 'node:*' : specifier;
  const entry = packages.find((each) => isIn(name, each)) ?? null;
  return { room, entry, isAllowed: entry !== null };
}

/** One sentence on an import that the table does not allow, or null. */
function refusalOf(file, specifier) {
  const { room, isAllowed } = look(file, specifier);
  if (isAllowed) return null;
  const { rooms, packages } = HOUSE[room];
  const allowed = [...rooms, ...packages].join(', ') || 'nothing';
  return `src/${room} must not import '${specifier}': beside its own files it may import ${allowed} (house.config.cjs)`;
}

/** The table as an ESLint rule. */
const importsRule = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const check = (node) => {
      const specifier = node?.value;
      const message = typeof specifier === 'string' ? refusalOf(context.filename, specifier) : null;
      if (message !== null) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      TSImportType: (node) => check(node.source ?? node.argument?.literal),
    };
  },
};

module.exports = { HOUSE, look, refusalOf, plugin: { rules: { imports: importsRule } } };

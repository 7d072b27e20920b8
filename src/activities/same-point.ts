/**
 * Whether donor and owner hold the same point, told from the bytes that both answer.
 *
 * The bytes are equal, except for one thing: Quiver 1.1.0 reads some floats of a payload as their neighbour
 * (6.882112659251348e-301 as …347e-301), so that the exact bytes of the donor, once written, come back as others, again after
 * every write. Such a pair can never be made equal; a reconcile that went on trying would never get a clean pass. So two
 * numbers with a fraction or an exponent count as equal when they are the same double or direct neighbours. Nothing is written
 * for that: a write that seems to change nothing could still overtake a client's (INV-4).
 */

/** Strings, numbers, and everything else byte by byte. JSON of a shard is compact and valid: it was scanned before. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|./gs;

export function isSamePoint(a: Buffer | null, b: Buffer | null): boolean {
  if (a === null || b === null) return a === b;
  return a.equals(b) || tokensMatch(a.toString('latin1'), b.toString('latin1'));
}

function tokensMatch(a: string, b: string): boolean {
  const others = b.matchAll(TOKENS);
  for (const [token] of a.matchAll(TOKENS)) {
    const next = others.next();
    if (next.done === true) return false;
    const [other] = next.value;
    if (token !== other && !areNeighbours(token, other)) return false;
  }
  return others.next().done === true;
}

function areNeighbours(a: string, b: string): boolean {
  if (!isFloat(a) || !isFloat(b)) return false;
  const distance = doubleBits(a) - doubleBits(b);
  return distance >= -1n && distance <= 1n;
}

/** An integer is never approximate: 9007199254740993 and …992 are two values. */
function isFloat(token: string): boolean {
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(token) && /[.eE]/.test(token);
}

/** Neighbouring doubles of one sign have neighbouring bits. */
function doubleBits(token: string): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Number(token));
  return view.getBigInt64(0);
}

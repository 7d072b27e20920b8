/**
 * Whether donor and owner hold the same point, told from the bytes that both answer.
 *
 * The bytes are equal, with one exception. Quiver 1.1.0 reads some floats of a payload as another double close by:
 * 2.397238681154417e-23 as …4175e-23, and up to 4 doubles away (measured on 10,000 random ones). The exact bytes of the
 * donor, once written, then come back as others, after every write. Such a pair can never be made equal, and a
 * reconcile that kept trying would never get a clean pass. So two numbers with a fraction or an exponent count as equal
 * when they are this close. Nothing is written for that: a write that seems to change nothing could still overtake a
 * client's (INV-4).
 */

/** Doubles between two readings of one number, at most: twice what was measured. A relative difference below 2e-15. */
const STEPS_MAX = 8n;

/**
 * Strings, numbers, and everything else byte by byte. The JSON of a shard is compact and valid: the scanner has read it
 * before.
 */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|./gs;

export function isSameJson(a: Buffer | null, b: Buffer | null): boolean {
  if (a === null || b === null) return a === b;
  return a.equals(b) || tokensMatch(a.toString('latin1'), b.toString('latin1'));
}

function tokensMatch(a: string, b: string): boolean {
  const others = b.matchAll(TOKENS);
  for (const [token] of a.matchAll(TOKENS)) {
    const next = others.next();
    if (next.done === true) return false;
    const [other] = next.value;
    if (token !== other && !areClose(token, other)) return false;
  }
  return others.next().done === true;
}

function areClose(a: string, b: string): boolean {
  if (!isFloat(a) || !isFloat(b)) return false;
  const distance = doubleBits(a) - doubleBits(b);
  return distance >= -STEPS_MAX && distance <= STEPS_MAX;
}

/** An integer is never approximate: 9007199254740993 and …992 are two values. */
function isFloat(token: string): boolean {
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(token) && /[.eE]/.test(token);
}

/** As an integer: neighbouring doubles of one sign are neighbours. */
function doubleBits(token: string): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Number(token));
  return view.getBigInt64(0);
}

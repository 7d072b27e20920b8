/**
 * Rendezvous hashing as Quiver's routers compute it: FNV-1a over the id's UTF-8 bytes, mixed with a shard's id by the
 * finalizer of SplitMix64, all in u64 arithmetic that wraps. A u64 is two int32 halves here: JavaScript's only exact
 * u64 is a BigInt, and that allocates at every step.
 */

/** The halves of a u64, each as a signed 32-bit integer. */
export interface U64 {
  readonly high: number;
  readonly low: number;
}

/** FNV's prime is 2^40 + 435. */
const FNV_PRIME_LOW = 435;
const FNV_BASIS: U64 = { high: 0xcbf29ce4 | 0, low: 0x84222325 | 0 };
const GOLDEN = 0x9e3779b97f4a7c15n;
const TWO_POW_32 = 4_294_967_296;

/** What a shard's id contributes to its scores: id × 0x9e3779b97f4a7c15. Exact for any id up to 2^53 - 1. */
export function shardSalt(shardId: number): U64 {
  const product = BigInt.asUintN(64, BigInt(shardId) * GOLDEN);
  return { high: Number(product >> 32n) | 0, low: Number(product & 0xffffffffn) | 0 };
}

/**
 * Hashes one id and scores it against any number of shards without allocating: results are fields, overwritten by the
 * next call.
 */
export class IdHasher {
  /** The id's hash. */
  hashHigh = 0;
  hashLow = 0;
  /** The last score. */
  scoreHigh = 0;
  scoreLow = 0;

  /** FNV-1a-64 of the id's UTF-8 bytes, into `hashHigh` and `hashLow`. */
  hash(id: Uint8Array): void {
    let high = FNV_BASIS.high;
    let low = FNV_BASIS.low;
    const length = id.length;
    for (let index = 0; index < length; index++) {
      low ^= id[index]!;
      // Below 2^41, so a double holds it exactly.
      const product = (low >>> 0) * FNV_PRIME_LOW;
      high = (Math.imul(high, FNV_PRIME_LOW) + (low << 8) + ((product / TWO_POW_32) | 0)) | 0;
      low = product | 0;
    }
    this.hashHigh = high;
    this.hashLow = low;
  }

  /** The score of the hashed id on the shard with this salt, into `scoreHigh` and `scoreLow`. */
  score(saltHigh: number, saltLow: number): void {
    const sum = (this.hashLow >>> 0) + (saltLow >>> 0);
    let low = sum | 0;
    let high = (this.hashHigh + saltHigh + (sum >= TWO_POW_32 ? 1 : 0)) | 0;

    // x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
    low ^= (low >>> 30) | (high << 2);
    high ^= high >>> 30;
    high = (highOfProduct(low, 0x1ce4, 0xe5b9) + Math.imul(high, 0x1ce4e5b9) + Math.imul(low, 0xbf58476d)) | 0;
    low = Math.imul(low, 0x1ce4e5b9);

    // x = (x ^ (x >> 27)) * 0x94d049bb133111eb
    low ^= (low >>> 27) | (high << 5);
    high ^= high >>> 27;
    high = (highOfProduct(low, 0x1331, 0x11eb) + Math.imul(high, 0x133111eb) + Math.imul(low, 0x94d049bb)) | 0;
    low = Math.imul(low, 0x133111eb);

    // score = x ^ (x >> 31)
    this.scoreLow = low ^ ((low >>> 31) | (high << 1));
    this.scoreHigh = high ^ (high >>> 31);
  }
}

/**
 * Bits 32 to 63 of an unsigned 32 × 32 bit product; the second factor in 16-bit halves, so that no sum leaves a double.
 */
function highOfProduct(factor: number, otherHigh: number, otherLow: number): number {
  const low = factor & 0xffff;
  const high = factor >>> 16;
  const middle = low * otherHigh + ((low * otherLow) >>> 16);
  const otherMiddle = high * otherLow + (middle & 0xffff);
  return (high * otherHigh + (middle >>> 16) + (otherMiddle >>> 16)) | 0;
}

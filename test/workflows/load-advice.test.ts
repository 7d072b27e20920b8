import { loadAdvice } from '../../src/workflows/move/rows/plan';

const GIB = 1024 ** 3;

it('advises larger checkpoints where a move loads a GiB or more', () => {
  expect(loadAdvice(0)).toEqual([]);
  expect(loadAdvice(GIB - 1)).toEqual([]);
  expect(loadAdvice(2.34 * GIB)).toEqual([
    'about 2.3 GiB are loaded, so start the shards that take them with QUIVER_CHECKPOINT_BYTES of 2 to 4 GiB',
  ]);
});

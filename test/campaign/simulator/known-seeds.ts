/** Seeds that found something. The runs that they stand for change with the simulator, so each says what it was. */
export const KNOWN_SEEDS: readonly { readonly seed: number; readonly what: string }[] = [
  { seed: 7, what: 'a drop deleted on an old volume' },
  { seed: 17, what: 'a second drop deleted on the owners what the first one had dropped' },
  { seed: 35, what: 'a lagging router deleted on the donor alone' },
  { seed: 36, what: 'a point was deleted soon after its dual write, around the flip' },
  { seed: 48, what: 'a follower froze after the epoch was written' },
  { seed: 77, what: 'a dual write around the flip was taken for late' },
  { seed: 85, what: 'a proof was lost with its worker' },
  { seed: 106, what: 'a cancel did not wait for a claim under way' },
  { seed: 130, what: 'a refused grow left its claim' },
  { seed: 183, what: 'an undo cleaned a wrong volume' },
  { seed: 189, what: 'own deletes in the tail kept a collection on the leaver' },
  { seed: 216, what: 'a follower told of a dual write late' },
  { seed: 232, what: 'a flip with a wrong volume on the joiner' },
  { seed: 272, what: 'the copy undid the first half of a delete' },
  { seed: 413, what: 'rows of an old volume were carried' },
];

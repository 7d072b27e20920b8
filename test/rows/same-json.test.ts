import fc from 'fast-check';
import { isSameJson } from '../../src/rows/same-json';

const same = (a: string, b: string): boolean => isSameJson(Buffer.from(a), Buffer.from(b));

describe('two answers about a point', () => {
  it('are the same point when their bytes are equal, whatever they hold', () => {
    fc.assert(fc.property(fc.json(), (json) => expect(same(json, json)).toBe(true)));
  });

  it('are the same point when a float came back as another one close by', () => {
    expect(same('{"v":6.882112659251348e-301}', '{"v":6.882112659251347e-301}')).toBe(true);
    expect(same('{"v":2.397238681154417e-23}', '{"v":2.3972386811544175e-23}')).toBe(true);
    expect(same('[1.0,0.30000000000000004,"x"]', '[1.0,0.3,"x"]')).toBe(true);
    expect(same('{"v":-5e-324}', '{"v":-1e-323}')).toBe(true);
  });

  it.each([
    ['another float', '{"v":0.1}', '{"v":0.2}'],
    ['a float nine steps away', '{"v":5e-324}', '{"v":5e-323}'],
    ['another integer, however large', '{"v":9007199254740993}', '{"v":9007199254740992}'],
    ['an integer for a float', '{"v":1}', '{"v":1.0}'],
    ['a float of the other sign', '{"v":0.0}', '{"v":-0.0}'],
    ['a number inside of a string', '{"v":"0.30000000000000004"}', '{"v":"0.3"}'],
    ['another key', '{"v":0.5}', '{"w":0.5}'],
    ['one member more', '{"v":0.5}', '{"v":0.5,"w":1}'],
    ['one member less', '{"v":0.5,"w":1}', '{"v":0.5}'],
    ['an escaped quote moved', '{"v":"a\\\\","w":0.5}', '{"v":"a\\\\\\"","w":0.5}'],
  ])('are two points when one has %s', (_what, a, b) => {
    expect(same(a, b)).toBe(false);
  });

  it('are two states when only one of them is there', () => {
    expect(isSameJson(null, Buffer.from('{}'))).toBe(false);
    expect(isSameJson(Buffer.from('{}'), null)).toBe(false);
    expect(isSameJson(null, null)).toBe(true);
  });
});

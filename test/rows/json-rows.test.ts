import { elementOfRow, rowOfElement } from '../../src/rows/remote/json-rows';

const ID = Buffer.from('a');
const rowWith = (...values: number[]) => ({
  id: ID,
  vector: Buffer.from(Float32Array.from(values).buffer),
  payload: Buffer.alloc(0),
});

describe('a row that goes over REST', () => {
  it('comes back with the same floats and the bytes of its payload', () => {
    const element = Buffer.from('{"id":"a","vector":[0.1,-0.0,3.4028235e38],"payload":{"x":9007199254740993,"y":1.0}}');
    const row = rowOfElement(ID, element);
    expect(row.vector).toEqual(rowWith(0.1, -0, 3.4028235e38).vector);
    expect(row.payload.toString()).toBe('{"x":9007199254740993,"y":1.0}');
    expect(rowOfElement(ID, elementOfRow(row))).toEqual(row);
  });

  it('is written with infinite elements where these are known', () => {
    expect(elementOfRow(rowWith(Infinity, -Infinity)).toString()).toBe('{"id":"a","vector":[1e39,-1e39]}');
  });

  it('is never written where it was read with an element that REST does not show', () => {
    const row = rowOfElement(ID, Buffer.from('{"id":"a","vector":[null,1.0],"payload":null}'));
    expect(() => elementOfRow(row)).toThrow(/infinite or no number/);
  });
});

import { expect, it } from 'vitest';
import { usableFirst } from '../src/words/folders';

it('folders that are added come first, all others stay in the order of the drop', () => {
  const usable = { usable: true };
  const unusable = { usable: false };
  const dropped = [
    { path: 'a', report: unusable },
    { path: 'b', report: null },
    { path: 'c', report: usable },
    { path: 'd', report: unusable },
    { path: 'e', report: usable },
  ];
  expect(usableFirst(dropped).map((one) => one.path)).toEqual(['c', 'e', 'a', 'b', 'd']);
  expect(dropped[0]?.path).toBe('a');
});

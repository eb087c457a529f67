import { expect, it } from 'vitest';
import { Heights } from '../src/parts/heights';
import { generator } from './random';

it('agrees with plain sums through growth, measuring and replacement', () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = generator(seed);
    const heights = new Heights();
    let items = Array.from({ length: Math.floor(random() * 40) }, (_, at) => ({
      key: `k${at}`,
      size: 10 + at,
    }));
    const real = new Map<string, number>();
    for (let turn = 0; turn < 12; turn += 1) {
      if (random() < 0.3) items = items.slice(0, Math.floor(random() * items.length));
      items = [
        ...items,
        ...Array.from({ length: Math.floor(random() * 8) }, () => ({
          key: `s${seed}-${turn}-${random()}`,
          size: Math.ceil(random() * 90),
        })),
      ];
      heights.match(items, (item) => item.size);
      for (const item of items) {
        if (random() > 0.3) continue;
        real.set(item.key, Math.ceil(random() * 200));
        heights.set(item.key, real.get(item.key) ?? 0);
      }
      const sizes = items.map((item) => real.get(item.key) ?? item.size);
      const sum = (count: number) => sizes.slice(0, count).reduce((a, b) => a + b, 0);
      expect(heights.total()).toBe(sum(items.length));
      const probe = random() * heights.total();
      const at = heights.at(probe);
      if (items.length > 0) {
        expect(sum(at)).toBeLessThanOrEqual(probe);
        expect(sum(at + 1)).toBeGreaterThanOrEqual(probe);
      }
    }
  }
});

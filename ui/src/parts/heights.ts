//! The heights of a list's rows, with sums in logarithmic time (a Fenwick tree). A row that was not
//! seen yet has an estimate.
export class Heights {
  private keys: string[] = [];
  private index = new Map<string, number>();
  private sizes: number[] = [];
  private measured = new Map<string, number>();
  private last: unknown = null;
  private tree: Float64Array = new Float64Array(1);

  /** Follows the list: appended rows are cheap, anything else builds the sums anew. */
  match<T extends { key: string }>(items: readonly T[], estimate: (item: T) => number): void {
    if (items === this.last) return;
    this.last = items;
    const same = this.commonLength(items);
    if (same === items.length && same === this.keys.length) return;
    for (const key of this.keys.splice(same)) this.index.delete(key);
    this.sizes.length = same;
    for (const item of items.slice(same)) {
      this.index.set(item.key, this.keys.length);
      this.keys.push(item.key);
      this.sizes.push(this.measured.get(item.key) ?? estimate(item));
    }
    this.build();
  }

  private commonLength(items: readonly { key: string }[]): number {
    const most = Math.min(items.length, this.keys.length);
    let same = 0;
    while (same < most && items[same]?.key === this.keys[same]) same += 1;
    return same;
  }

  private build(): void {
    const count = this.sizes.length;
    const tree = new Float64Array(count + 1);
    for (let at = 1; at <= count; at += 1) {
      tree[at] = (tree[at] ?? 0) + (this.sizes[at - 1] ?? 0);
      const up = at + (at & -at);
      if (up <= count) tree[up] = (tree[up] ?? 0) + (tree[at] ?? 0);
    }
    this.tree = tree;
  }

  /** Notes a measured height; `index` is -1 for a row that is gone. */
  set(key: string, size: number): { index: number; change: number } {
    this.measured.set(key, size);
    const index = this.index.get(key) ?? -1;
    if (index < 0) return { index, change: 0 };
    const change = size - (this.sizes[index] ?? 0);
    this.sizes[index] = size;
    for (let at = index + 1; at < this.tree.length; at += at & -at)
      this.tree[at] = (this.tree[at] ?? 0) + change;
    return { index, change };
  }

  /** The sum of the heights of the first `count` rows. */
  before(count: number): number {
    let sum = 0;
    for (let at = Math.min(count, this.sizes.length); at > 0; at -= at & -at)
      sum += this.tree[at] ?? 0;
    return sum;
  }

  total(): number {
    return this.before(this.sizes.length);
  }

  /** The row that lies at `offset` from the top. */
  at(offset: number): number {
    let position = 0;
    let left = offset;
    for (
      let step = 2 ** Math.floor(Math.log2(Math.max(1, this.sizes.length)));
      step > 0;
      step >>= 1
    ) {
      const next = position + step;
      if (next < this.tree.length && (this.tree[next] ?? 0) <= left) {
        position = next;
        left -= this.tree[next] ?? 0;
      }
    }
    return Math.min(position, Math.max(0, this.sizes.length - 1));
  }
}

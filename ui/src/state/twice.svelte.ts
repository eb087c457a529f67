//! What a single press must not do: the first one only says that a second one does it.

const AGAIN_MS = 2000;

export class Twice {
  /** One press was heard, and the next one counts. */
  waits = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Says whether this was the second press. */
  press(): boolean {
    const second = this.waits;
    this.forget();
    if (!second) {
      this.waits = true;
      this.timer = setTimeout(() => (this.waits = false), AGAIN_MS);
    }
    return second;
  }
  forget(): void {
    clearTimeout(this.timer);
    this.waits = false;
  }
}

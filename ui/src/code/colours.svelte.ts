//! The marker of code for views: absent until it was fetched, and views draw again when it came.
import type { Marker } from './tokens';

class Colours {
  marker = $state.raw<Marker | null>(null);
  private asked = false;

  /** Fetches the marker, once; without it code stays plain. */
  want(): void {
    if (this.asked) return;
    this.asked = true;
    import('./languages').then(
      ({ marked }) => (this.marker = marked),
      () => undefined,
    );
  }
}

export const colours = new Colours();

//! How the window looks on this machine: theme, density, widths. Kept in the browser's storage
//! because it says nothing about the work.
import { innerWidth as room } from 'svelte/reactivity/window';

export type Theme = 'system' | 'light' | 'dark';
export type Density = 'comfortable' | 'compact';

/** Narrower than this, the list of stories is not beside them. */
const NARROW_PX = 720;

function read(key: string, otherwise: string): string {
  return localStorage.getItem(`musher.${key}`) ?? otherwise;
}

function width(key: string, otherwise: number): number {
  const kept = Number(read(key, ''));
  return kept > 0 ? kept : otherwise;
}

class Look {
  theme = $state<Theme>(read('theme', 'system') as Theme);
  density = $state<Density>(read('density', 'comfortable') as Density);
  side = $state(width('side', 232));
  /** A wide window leaves more to the changes than to an empty middle. */
  review = $state(width('review', Math.min(760, Math.max(480, Math.round(innerWidth * 0.36)))));
  files = $state(width('files', 190));

  get narrow(): boolean {
    return (room.current ?? NARROW_PX) < NARROW_PX;
  }

  setTheme = (theme: Theme): void => {
    this.theme = theme;
    localStorage.setItem('musher.theme', theme);
    window.dispatchEvent(new Event('musher-look'));
  };

  setDensity = (density: Density): void => {
    this.density = density;
    localStorage.setItem('musher.density', density);
    window.dispatchEvent(new Event('musher-look'));
  };

  setWidth = (key: 'side' | 'review' | 'files', value: number): void => {
    this[key] = Math.round(value);
    localStorage.setItem(`musher.${key}`, String(this[key]));
  };
}

export const look = new Look();

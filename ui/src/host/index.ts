//! Finds out who hosts the page.
import type { Host } from './host';

export type { DropNote, Host } from './host';
export { asApiError } from './host';

export async function connectHost(): Promise<Host> {
  if (import.meta.env.MODE === 'fake') return (await import('./fake/fake')).fakeHost();
  if ('__TAURI_INTERNALS__' in window) return (await import('./tauri')).tauriHost();
  return (await import('./server')).serverHost();
}

//! The page on a fake host, as the tests open it.
import { render } from '@testing-library/svelte';
import type { FakeHost } from '../src/host/fake/fake';
import App from '../src/parts/App.svelte';
import { AppState } from '../src/state/app.svelte';

export const PROJECT = {
  id: 'api',
  name: 'atlas-api',
  root: '/home/ada/atlas-api',
  added_at: '2026-01-01T00:00:00Z',
};

export async function open(host: FakeHost): Promise<AppState> {
  const app = new AppState(host);
  await app.start();
  render(App, { app });
  return app;
}

/** With one project. */
export function openAtlas(host: FakeHost): Promise<AppState> {
  host.projects = [PROJECT];
  return open(host);
}

/** What the host was asked by this name. */
export const called = (host: FakeHost, name: string) =>
  host.calls.filter((call) => call.name === name).map((call) => call.params);

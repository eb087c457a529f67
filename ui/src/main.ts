import { mount } from 'svelte';
import App from './parts/App.svelte';
import BrokenPage from './parts/BrokenPage.svelte';
import { connectHost } from './host';
import { AppState } from './state/app.svelte';
import './style/app.css';

async function begin(): Promise<void> {
  const app = new AppState(await connectHost());
  window.addEventListener('error', (event) =>
    app.report(`${event.message} at ${event.filename}:${event.lineno}`),
  );
  window.addEventListener('unhandledrejection', (event) =>
    app.report(`unhandled: ${String(event.reason)}`),
  );
  const target = document.getElementById('app');
  if (!target) return;
  target.replaceChildren();
  mount(App, { target, props: { app } });
  await app.start();
}

begin().catch((error: unknown) => {
  const target = document.getElementById('app');
  target?.replaceChildren();
  if (target) mount(BrokenPage, { target, props: { error } });
});

import { mount } from 'svelte';
import App from './parts/App.svelte';
import { connectHost } from './host';
import { AppState } from './state/app.svelte';
import './style/app.css';

async function begin(): Promise<void> {
  const host = await connectHost();
  const app = new AppState(host);
  const report = (message: string) =>
    void host.call('page_log', { message }).catch(() => undefined);
  window.addEventListener('error', (event) =>
    report(`${event.message} at ${event.filename}:${event.lineno}`),
  );
  window.addEventListener('unhandledrejection', (event) =>
    report(`unhandled: ${String(event.reason)}`),
  );
  const target = document.getElementById('app');
  if (!target) return;
  target.replaceChildren();
  mount(App, { target, props: { app } });
  await app.start();
}

void begin();

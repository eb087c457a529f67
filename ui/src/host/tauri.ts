//! The desktop window as host: the only file of the page that names Tauri.
import { invoke } from '@tauri-apps/api/core';
import { listen, type EventCallback } from '@tauri-apps/api/event';
import type { News } from '../contract/contract';
import { asApiError, type DropNote, type Host, type Unsubscribe } from './host';

function subscribe<T>(event: string, callback: EventCallback<T>): Unsubscribe {
  const ready = listen<T>(event, callback);
  return () => void ready.then((off) => off());
}

export function tauriHost(): Host {
  return {
    kind: 'window',
    async call(name, params) {
      try {
        const reply = await invoke<unknown>('rpc', { name, params });
        return (typeof reply === 'string' ? JSON.parse(reply) : reply) as never;
      } catch (thrown) {
        throw asApiError(thrown);
      }
    },
    onNews: (onNews) => subscribe<News>('news', ({ payload }) => onNews(payload)),
    onDrop: (onDrop) => subscribe<DropNote>('drop', ({ payload }) => onDrop(payload)),
    onFocusRun: (onFocus) =>
      subscribe<string | { run: string }>('open-run', ({ payload }) =>
        onFocus(typeof payload === 'string' ? payload : payload.run),
      ),
  };
}

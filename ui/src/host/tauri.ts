//! The desktop window as host: the only file of the page that names Tauri.
//!
//! News are pulled, not pushed: a Tauri event for each would be kept by the web view for ever
//! (tauri#12724), and nothing would hold the sender back.
import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { News } from '../contract/contract';
import { asApiError, type DropNote, type Host, type Unsubscribe } from './host';

const RETRY_MS = 1000;

function parsed(reply: unknown): unknown {
  return typeof reply === 'string' ? JSON.parse(reply) : reply;
}

class TauriHost implements Host {
  readonly kind = 'window';
  private listening: Promise<unknown>[] = [];

  async call(name: string, params: unknown): Promise<never> {
    try {
      return parsed(await invoke('rpc', { name, params })) as never;
    } catch (thrown) {
      throw asApiError(thrown);
    }
  }

  onNews(onNews: (news: News) => void, onGap?: () => void): Unsubscribe {
    let stopped = false;
    const follow = async () => {
      let fresh = true;
      while (!stopped) {
        try {
          onNews(parsed(await invoke('news', { fresh })) as News);
          fresh = false;
          await drawn();
        } catch {
          fresh = true;
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          if (!stopped) onGap?.();
        }
      }
    };
    void follow();
    return () => {
      stopped = true;
    };
  }

  onDrop(onDrop: (note: DropNote) => void): Unsubscribe {
    return this.subscribe<DropNote>('drop', onDrop);
  }

  onFocusRun(onFocus: (run: string) => void): Unsubscribe {
    return this.subscribe<string>('open-run', onFocus);
  }

  /** What was dropped or chosen before is handed over now. */
  async ready(): Promise<void> {
    await Promise.all(this.listening);
    await invoke('ready');
  }

  async shows(story: string | null): Promise<void> {
    await invoke('shows', { story });
  }

  private subscribe<T>(event: string, callback: (payload: T) => void): Unsubscribe {
    const listening = listen<T>(event, ({ payload }) => callback(payload));
    this.listening.push(listening);
    return () => void listening.then((off) => off());
  }
}

/** After the next frame; a window that is not shown asks for nothing. */
function drawn(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

export function tauriHost(): Host {
  return new TauriHost();
}

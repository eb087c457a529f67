//! `musher serve` as host. The token arrives in the URL's fragment (which no server ever sees), is
//! taken out of the address bar at once and kept for this tab only. A server that was started again
//! has another token: then nothing more is asked, and the page says so once.
import type { ApiError, News } from '../contract/contract';
import type { Host, Unsubscribe } from './host';

const KEY = 'musher.token';
const RETRY_MS = [250, 500, 1000, 2000, 5000];

const INCOMPLETE: ApiError = {
  code: 'unauthorized',
  message: 'This address is not complete.',
  hint: 'Open the whole address that `musher serve` printed; what stands behind # is the key.',
};
const EARLIER: ApiError = {
  code: 'unauthorized',
  message: 'This address is from an earlier server.',
  hint: 'Open the address that `musher serve` printed when it was started last.',
};

/** What the server thinks of the token; a refusal is for good. */
class Door {
  refused: ApiError | null = null;
  constructor(readonly token: string) {
    if (token === '') this.refused = INCOMPLETE;
  }

  async post(name: string, params: unknown, gone?: AbortSignal): Promise<unknown> {
    if (this.refused) throw this.refused;
    const response = await send(this.token, name, params, gone);
    if (response.status === 401) throw (this.refused = EARLIER);
    if (!response.ok) throw await errorOf(response);
    const text = await response.text();
    return text === '' ? {} : JSON.parse(text);
  }
}

export function takeToken(): string {
  const found = new URLSearchParams(location.hash.slice(1)).get('token');
  if (found) {
    sessionStorage.setItem(KEY, found);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? '';
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    return (await response.json()) as ApiError;
  } catch {
    return { code: 'internal', message: `Musher answered ${response.status}.` };
  }
}

async function send(
  token: string,
  name: string,
  params: unknown,
  gone?: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(`/rpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(params),
      signal: gone,
    });
  } catch {
    const hint = 'Start `musher serve` again and open the address it prints.';
    throw { code: 'internal', message: 'Musher does not answer.', hint } satisfies ApiError;
  }
}

/** Keeps one socket open; after each reconnect what happened meanwhile is unknown: `onGap`. */
function newsSocket(
  door: Door,
  onNews: (news: News) => void,
  onGap?: () => void,
  onLost?: () => void,
): Unsubscribe {
  let closed = false;
  let tries = 0;
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const connect = () => {
    if (door.refused) return onLost?.();
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    socket = new WebSocket(`${scheme}://${location.host}/news`, [`musher.${door.token}`]);
    socket.onopen = () => {
      if (tries > 0) onGap?.();
      tries = 0;
    };
    socket.onmessage = ({ data }) => onNews(JSON.parse(String(data)) as News);
    socket.onclose = () => {
      if (closed) return;
      if (tries > 0) onLost?.();
      timer = setTimeout(connect, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
      tries += 1;
    };
  };
  connect();
  return () => {
    closed = true;
    clearTimeout(timer);
    socket?.close();
  };
}

/** The new address in the same tab differs behind `#` only: the browser would stay on this page. */
function followNewAddress(): void {
  window.addEventListener('hashchange', () => {
    if (location.hash.includes('token=')) location.reload();
  });
}

export function serverHost(): Host {
  const door = new Door(takeToken());
  followNewAddress();
  return {
    kind: 'server',
    call: (name, params, gone) => door.post(name, params, gone) as Promise<never>,
    onNews: (onNews, onGap, onLost) => newsSocket(door, onNews, onGap, onLost),
    // A browser keeps the paths of dropped folders to itself: the page asks for a path instead.
    onDrop: () => () => undefined,
    onFocusRun: () => () => undefined,
  };
}

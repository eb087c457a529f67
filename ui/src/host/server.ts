//! `musher serve` as host. The token arrives in the URL's fragment (which no server ever sees), is
//! taken out of the address bar at once and kept for this tab only.
import type { ApiError, News } from '../contract/contract';
import type { Host, Unsubscribe } from './host';

const KEY = 'musher.token';
const RETRY_MS = [250, 500, 1000, 2000, 5000];

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

async function post(token: string, name: string, params: unknown): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`/rpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(params),
    });
  } catch {
    const hint = 'Start `musher serve` again and open the address it prints.';
    throw { code: 'internal', message: 'Musher does not answer.', hint } satisfies ApiError;
  }
  if (!response.ok) throw await errorOf(response);
  const text = await response.text();
  return text === '' ? {} : JSON.parse(text);
}

/** Keeps one socket open; after each reconnect what happened meanwhile is unknown: `onGap`. */
function newsSocket(
  token: string,
  onNews: (news: News) => void,
  onGap?: () => void,
  onLost?: () => void,
): Unsubscribe {
  let closed = false;
  let tries = 0;
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const connect = () => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    socket = new WebSocket(`${scheme}://${location.host}/news`, [`musher.${token}`]);
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

export function serverHost(): Host {
  const token = takeToken();
  return {
    kind: 'server',
    call: (name, params) => post(token, name, params) as Promise<never>,
    onNews: (onNews, onGap, onLost) => newsSocket(token, onNews, onGap, onLost),
    // A browser keeps the paths of dropped folders to itself: the page asks for a path instead.
    onDrop: () => () => undefined,
    onFocusRun: () => () => undefined,
  };
}

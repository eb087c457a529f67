//! The cards that are drawn and wait for an answer: a key reaches a card only while the person can
//! see it.
export interface Ask {
  allow?: () => void;
  deny?: () => void;
  option?: (number: number) => void;
}

const drawn = new Map<string, Ask>();

export function register(run: string, request: string, ask: Ask): () => void {
  const key = `${run}/${request}`;
  drawn.set(key, ask);
  return () => {
    if (drawn.get(key) === ask) drawn.delete(key);
  };
}

export function askOf(run: string, request: string): Ask | undefined {
  return drawn.get(`${run}/${request}`);
}

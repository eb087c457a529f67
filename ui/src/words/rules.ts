//! Rules of a project in words: what a person chooses from, and the line that it makes.
export type About = 'run' | 'edit' | 'read' | 'fetch' | 'tool';

export interface Kind {
  about: About;
  words: string;
  /** What a pattern looks like. */
  example: string;
}

export const KINDS: Kind[] = [
  { about: 'run', words: 'the command', example: 'cargo test*' },
  { about: 'edit', words: 'changes to', example: 'src/**' },
  { about: 'read', words: 'reading', example: '.env' },
  { about: 'fetch', words: 'pages of', example: 'docs.rs' },
  { about: 'tool', words: 'the tool', example: 'mcp__github__*' },
];

/** The rule as the engine reads it. */
export function lineOf(allow: boolean, about: About, pattern: string): string {
  return [allow ? 'allow' : 'deny', about, pattern.trim()].filter(Boolean).join(' ');
}

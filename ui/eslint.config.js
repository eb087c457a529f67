import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';

// Code that may not touch the desktop shell: everything outside src/host/tauri.ts.
const shellOnly = {
  patterns: [
    { group: ['@tauri-apps/*'], message: 'Only src/host/tauri.ts knows who hosts the page.' },
  ],
};

export default ts.config(
  { ignores: ['dist/', 'node_modules/', 'src/contract/', 'public/'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser } },
  },
  {
    languageOptions: {
      globals: Object.fromEntries(
        [
          'window',
          'document',
          'navigator',
          'location',
          'localStorage',
          'sessionStorage',
          'fetch',
          'WebSocket',
          'URLSearchParams',
          'history',
          'requestAnimationFrame',
          'cancelAnimationFrame',
          'ResizeObserver',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'console',
          'matchMedia',
          'HTMLElement',
          'Element',
          'Node',
          'KeyboardEvent',
          'performance',
          'AbortController',
          'structuredClone',
          'queueMicrotask',
          'URL',
        ].map((name) => [name, 'readonly']),
      ),
    },
    rules: {
      'no-undef': 'off',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-restricted-imports': ['error', shellOnly],
      'svelte/no-at-html-tags': 'error',
      'svelte/require-each-key': 'error',
      // Maps here are replaced whole or are no state of a view.
      'svelte/prefer-svelte-reactivity': 'off',
      'max-lines': ['error', { max: 600 }],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      complexity: ['warn', 20],
    },
  },
  { files: ['src/host/tauri.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['tests/**', 'src/host/fake/**'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);

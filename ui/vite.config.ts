import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The policy of the page forbids inline scripts, data: fonts and workers from blobs, so nothing is
// inlined here. WebKitGTK is the engine on Linux: Safari 16 is the oldest level that is built for.
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  build: {
    target: 'safari16',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    emptyOutDir: true,
  },
  server: { port: 5173, strictPort: true },
  // Component tests need the browser build of Svelte.
  resolve: mode === 'test' ? { conditions: ['browser'] } : {},
  test: {
    // A hang ends; how long a busy machine takes is no verdict.
    testTimeout: 120_000,
    environment: 'jsdom',
    include: ['tests/**/*.test.ts'],
    setupFiles: ['tests/setup.ts'],
    css: false,
  },
}));

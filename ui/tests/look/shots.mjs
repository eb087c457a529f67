// Takes pictures of every state of the page on the fake host, in both themes, under the policy that
// the window has. `npm run look [-- FOLDER [NAME...]]`.
import { createServer } from 'node:http';
import { readFile, mkdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self' ipc: http://ipc.localhost; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.woff2': 'font/woff2',
  '.svg': 'image/svg+xml',
};

export function serve(folder) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://x').pathname;
    try {
      const body = await readFile(join(folder, path === '/' ? 'index.html' : path));
      response.writeHead(200, {
        'content-type': TYPES[extname(path)] ?? 'text/html',
        'content-security-policy': CSP,
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function openModels(page) {
  await page.keyboard.press('Control+k');
  await page.getByTestId('palette-input').fill('models and keys');
  await page.keyboard.press('Enter');
  await page.getByTestId('models').waitFor();
}

/** Name, scene of the fake host, and what is done before the picture. */
const SHOTS = [
  ['first', 'first'],
  ['bare', 'bare'],
  ['empty', 'empty'],
  ['overview', 'overview'],
  ['running', 'running', (page) => page.waitForTimeout(2500)],
  ['permission', 'permission'],
  ['question', 'question'],
  ['plan', 'plan'],
  ['finished', 'finished'],
  ['failed', 'failed'],
  [
    'trust',
    'trust',
    async (page) => {
      await page.getByTestId('composer-input').fill('Add a health route');
      await page.keyboard.press('Enter');
    },
  ],
  ['models', 'permission', openModels],
  [
    'models-known',
    'permission',
    async (page) => {
      await openModels(page);
      await page.getByTestId('key-field').first().fill('sk-none');
      await page.getByTestId('key-save').first().click();
      for (const test of await page.getByTestId('probe').all()) await test.click();
      await page.getByTestId('look-local').click();
      await page.getByTestId('other-address').fill('http://10.0.0.7:8000/v1');
      await page.getByTestId('probe').last().click();
    },
  ],
  [
    'new-local',
    'permission',
    async (page) => {
      await openModels(page);
      await page.getByTestId('look-local').click();
      await page.getByTestId('use-local').first().click();
    },
  ],
  ['drop', 'drop', (page) => page.waitForTimeout(800)],
  [
    'refused',
    'refused',
    async (page) => {
      await page.getByText('Which ones').click();
      await page.waitForTimeout(200);
    },
  ],
  ['keys', 'permission', (page) => page.keyboard.press('?')],
  [
    'palette',
    'permission',
    async (page) => {
      await page.keyboard.press('Control+k');
      await page.waitForTimeout(200);
    },
  ],
];

export function launch() {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
  ];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}

export async function open(browser, url, scene, theme, width = 1440, height = 900) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme });
  const page = await context.newPage();
  page.on(
    'console',
    (message) =>
      ['error', 'warning'].includes(message.type()) && console.log(`  ${scene}: ${message.text()}`),
  );
  page.on('pageerror', (error) => console.log(`  ${scene}: ${error.message}`));
  await page.goto(`${url}/?fake=${scene}`);
  await page.waitForSelector('[data-testid], main');
  await page.waitForTimeout(500);
  return page;
}

async function main() {
  const [out = 'test-output', ...names] = process.argv.slice(2);
  await mkdir(out, { recursive: true });
  const server = await serve(process.env.MUSHER_FAKE_DIST ?? '../target/ui-fake');
  const url = `http://127.0.0.1:${server.address().port}`;
  const browser = await launch();
  for (const theme of ['dark', 'light']) {
    for (const [name, scene, before] of SHOTS) {
      if (names.length > 0 && !names.includes(name)) continue;
      const page = await open(browser, url, scene, theme);
      if (before) await before(page);
      await page.waitForTimeout(200);
      await page.screenshot({ path: join(out, `${name}-${theme}.png`) });
      await page.context().close();
    }
  }
  await browser.close();
  server.close();
}

if (process.argv[1]?.endsWith('shots.mjs')) await main();

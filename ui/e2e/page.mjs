// The page in Chromium, and what a person does with it. Every page notes what went wrong in it:
// errors of scripts, what the page's policy refused, requests to elsewhere.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { SOON, World } from './world.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const SHOTS = fileURLToPath(new URL('../../test-output/browser/', import.meta.url));
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

let browser;
after(() => browser?.close());

/** A test in a world of its own. `open` gives a page of the server; nothing may go wrong in any. */
export function scenario(name, body) {
  test(name, { timeout: 120_000 }, async () => {
    const world = new World();
    const contexts = [];
    const faults = [];
    const open = async (look = {}) => {
      const { page, context } = await newPage(world, look, faults);
      contexts.push(context);
      return page;
    };
    let shown;
    try {
      await world.serve();
      await body({ world, open: async (look) => (shown = await open(look)), faults });
      assert.deepEqual(faults, [], 'nothing goes wrong in the page');
    } catch (error) {
      await shown?.screenshot({ path: shotPath(`failed-${name}`) }).catch(() => undefined);
      await tell(world, shown).catch((why) => console.log(`and no more is known: ${why}`));
      throw error;
    } finally {
      for (const context of contexts) await context.close();
      await world.end();
    }
  });
}

/** What a failure looked like, in words: pictures do not leave the machine that made them. */
async function tell(world, page) {
  if (page) console.log(`the page says: ${(await page.innerText('body')).slice(-1500)}`);
  for (const one of await world.call('run_list')) {
    const tail = (await world.events(one.id)).slice(-5);
    console.log(`run ${one.phase}, ${one.last_seq} events: ${JSON.stringify(tail)}`);
  }
}

async function newPage(world, look, faults) {
  const { theme = 'dark', width = 1440, height = 900, at = (url) => url } = look;
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  });
  const viewport = { width, height };
  const context = await browser.newContext({
    viewport,
    colorScheme: theme,
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(SOON);
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (said) => {
    // A refusal (the trust question, a second answer) is a status, not a fault.
    const refused = /status of 40\d /.test(said.text());
    if (said.type() === 'error' && !refused) faults.push(`console: ${said.text()}`);
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(world.url).origin)
      faults.push(`request: ${request.url()}`);
  });
  await page.goto(at(world.url));
  return { page, context };
}

function shotPath(name) {
  mkdirSync(SHOTS, { recursive: true });
  return `${SHOTS}${name.replaceAll(/[^\w-]+/g, '-')}.png`;
}

/** The page follows the system's theme a moment later. */
async function themed(page, theme) {
  await page.emulateMedia({ colorScheme: theme });
  await page.waitForFunction((wanted) => document.documentElement.dataset.theme === wanted, theme);
}

/** Keeps pictures of this state in both themes. */
export async function shoot(page, name) {
  for (const theme of ['light', 'dark']) {
    await themed(page, theme);
    await page.screenshot({ path: shotPath(`${name}-${theme}`) });
  }
}

/** What axe finds serious or critical, in both themes. */
export async function accessFaults(page) {
  const found = [];
  // Through the debugger: the page's own policy refuses scripts from elsewhere.
  await page.evaluate(`(() => { ${AXE}; window.axe = axe; })()`);
  for (const theme of ['light', 'dark']) {
    await themed(page, theme);
    const { violations } = await page.evaluate(() =>
      window.axe.run(document, { resultTypes: ['violations'] }),
    );
    for (const one of violations.filter((one) => ['serious', 'critical'].includes(one.impact)))
      for (const node of one.nodes)
        found.push(`${theme} ${one.id}: ${node.target.join(' ')}: ${node.failureSummary}`);
  }
  return found;
}

export const id = (page, name) => page.getByTestId(name);
export const says = (page, text) => id(page, 'transcript').getByText(text).first().waitFor();
export const card = (page) => id(page, 'permission');

/** The row of the latest story, in this phase. */
export function row(page, phase) {
  const of = phase ? `[data-phase="${phase}"]` : '';
  return page.locator(`[data-testid="run-row"]${of}`);
}
export const done = (page) => row(page, 'done').first().waitFor();

/** Adds a repository by its path, as the page asks for it in a browser. */
export async function addRepository(page, path) {
  await id(page, 'dropzone').click();
  await id(page, 'folder-path').fill(path);
  await page.getByText('is a repository').waitFor();
  await page.keyboard.press('Enter');
  await id(page, 'runtime').waitFor({ state: 'attached' });
}

/** The page with the one project that most worlds have. */
export async function openAtlas({ world, open }, look, files) {
  const repository = await world.repository('atlas', files);
  const page = await open(look);
  await addRepository(page, repository);
  return { page, repository };
}

/** Chooses a model of a server in New story. */
export async function chooseModel(page, server, model) {
  await id(page, 'runtime').selectOption('openai');
  await id(page, 'address').fill(server.base);
  await id(page, 'model').fill(model);
}

/** Starts a story with the demo agent in the project that is shown. */
export async function startStory(page, prompt, mode = 'ask') {
  await id(page, 'runtime').selectOption('demo');
  await page.getByLabel('What it may do unasked').selectOption(mode);
  await id(page, 'composer-input').fill(prompt);
  await page.keyboard.press('Enter');
  await page.getByTestId('run-state').waitFor();
}

/** Says something in the story that is open. */
export async function say(page, text, delivery) {
  if (delivery) await page.getByLabel('When the message is said').selectOption(delivery);
  await id(page, 'composer-input').fill(text);
  await page.keyboard.press('Enter');
}

/** Presses a key until it worked: a card takes no key in the moment in which it appears. */
export async function pressUntil(page, key, gone) {
  await id(page, 'transcript').focus();
  const deadline = Date.now() + SOON;
  while ((await gone.count()) > 0) {
    assert.ok(Date.now() < deadline, `the key ${key} does nothing`);
    await page.keyboard.press(key);
    await gone
      .first()
      .waitFor({ state: 'detached', timeout: 500 })
      .catch(() => undefined);
  }
}

/** All that the conversation says, in order: rows exist only in sight, so it is read by scrolling. */
export async function readAll(page) {
  return id(page, 'transcript').evaluate(async (list) => {
    const frame = () =>
      new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const rows = new Map();
    list.scrollTop = 0;
    for (;;) {
      await frame();
      const top = list.getBoundingClientRect().top;
      for (const item of list.querySelectorAll('.item')) {
        const at = Math.round(item.getBoundingClientRect().top - top + list.scrollTop);
        rows.set(`${at} ${item.innerText}`, { at, text: item.innerText });
      }
      if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) break;
      list.scrollTop += list.clientHeight / 2;
    }
    const sorted = [...rows.values()].sort((a, b) => a.at - b.at);
    return sorted.map((one) => one.text);
  });
}

// Measures the built page on the fake host in Chromium, and looks for faults of access: prints one
// JSON line a figure and ends with 1 when a bar is missed. `npm run measure` after `build:fake`.
import { readFileSync } from 'node:fs';
import { launch, open, serve } from './shots.mjs';

const SCENES = [
  'first',
  'bare',
  'empty',
  'overview',
  'permission',
  'question',
  'plan',
  'finished',
  'failed',
  'trust',
  'drop',
];
const axe = readFileSync(
  new URL('../../node_modules/axe-core/axe.min.js', import.meta.url),
  'utf8',
);
let missed = 0;

function say(name, value, bar) {
  const good = bar === undefined || value <= bar;
  if (!good) missed += 1;
  console.log(JSON.stringify({ name, value: Math.round(value * 10) / 10, bar, good }));
}

async function access(browser, url) {
  for (const theme of ['light', 'dark']) {
    for (const scene of SCENES) {
      const page = await open(browser, url, scene, theme);
      await page.waitForTimeout(300);
      // Through the debugger: the page's own policy would refuse an inline script.
      await page.evaluate(`(() => { ${axe} ; window.axe = axe; })()`);
      const found = await page.evaluate(async () =>
        (await window.axe.run(document, { resultTypes: ['violations'] })).violations.map((one) => [
          one.impact,
          one.id,
          one.nodes[0].target.join(' '),
          one.nodes[0].failureSummary,
        ]),
      );
      for (const one of found)
        console.log(`  ${scene} ${theme}: ${one.join(' | ').replaceAll('\n', ' ')}`);
      say(`axe ${scene} ${theme}`, found.length, 0);
      await page.context().close();
    }
  }
}

async function bigTranscript(browser, url) {
  const page = await open(browser, url, 'first', 'dark');
  const from = Date.now();
  await page.goto(`${url}/?fake=big`);
  await page.waitForFunction(
    () => document.querySelector('[data-testid="transcript"]')?.textContent.includes('step_3332'),
    { polling: 16 },
  );
  say('10,000 events, 20 MB: opened, ms', Date.now() - from, 1000);
  say(
    'rows that exist',
    await page.evaluate(() => document.querySelectorAll('[data-testid="transcript"] .item').length),
    80,
  );
  const frames = await page.evaluate(async () => {
    const list = document.querySelector('[data-testid="transcript"]');
    const times = [];
    let last = performance.now();
    for (let step = 0; step < 90; step += 1) {
      list.scrollTop -= 400;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      times.push(performance.now() - last);
      last = performance.now();
    }
    return times.sort((a, b) => a - b);
  });
  say('scrolling, p95 frame, ms', frames[Math.floor(frames.length * 0.95)]);
  const jump = await page.evaluate(async () => {
    const list = document.querySelector('[data-testid="transcript"]');
    const from = performance.now();
    list.scrollTop = list.scrollHeight / 2;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return performance.now() - from;
  });
  say('jump to the middle, ms', jump, 60);
  await page.context().close();
}

async function lockDiff(browser, url) {
  const page = await open(browser, url, 'finished', 'dark');
  await page.locator('[data-path="Cargo.lock"]').first().click();
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        window.longest = Math.max(window.longest, entry.duration);
    }).observe({ entryTypes: ['longtask'] });
  });
  await page.getByText('Show it all the same').click();
  await page.waitForSelector('[data-testid="diff"][data-path="Cargo.lock"]');
  await page.waitForTimeout(600);
  say('50,000-line diff, longest task, ms', await page.evaluate(() => window.longest), 100);
  await page.context().close();
}

async function longMessage(browser, url) {
  const page = await open(browser, url, 'long', 'dark');
  await page.waitForFunction(() => window.streamed === true, { timeout: 120_000 });
  say(
    '57 kB message streamed, blocking over 50 ms in all, ms',
    await page.evaluate(() => window.blocking),
    1000,
  );
  await page.context().close();
}

/** Nothing that an agent writes may make the page ask another server. */
async function outside(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => !request.url().startsWith(url) && asked.push(request.url()));
  await page.goto(`${url}/?fake=hostile`);
  await page.waitForSelector('[data-testid="transcript"]');
  await page.waitForTimeout(1500);
  for (const one of asked) console.log(`  asked ${one}`);
  say('requests to elsewhere', asked.length, 0);
  say('scripts that ran', await page.evaluate(() => window.ran ?? 0), 0);
  await context.close();
}

const server = await serve(process.env.MUSHER_FAKE_DIST ?? '../target/ui-fake');
const url = `http://127.0.0.1:${server.address().port}`;
const browser = await launch();
const steps = { access, bigTranscript, lockDiff, longMessage, outside };
const wanted = process.argv.slice(2);
for (const [name, step] of Object.entries(steps))
  if (wanted.length === 0 || wanted.includes(name)) await step(browser, url);
await browser.close();
server.close();
process.exitCode = missed > 0 ? 1 : 0;

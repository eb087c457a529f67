// A window as narrow as a half or a third of a screen: all is reached, nothing is beside the window.
import assert from 'node:assert/strict';
import { accessFaults, done, id, row, says, scenario, shoot } from './page.mjs';

const NARROW = { width: 480, height: 800 };
const write = (path, content) => ({ tool: { tool: { write: { path, content } } } });
const SCRIPT = {
  turns: [
    [
      { say: 'A path that is long: ' + 'src/a/'.repeat(40) },
      write('src/lib.rs', `pub const LONG: &str = "${'x'.repeat(200)}";\n`),
      write('docs/notes.md', '# Notes\n'),
      { say: 'Both are written.' },
    ],
  ],
};

scenario('at 480 px a story, its changes and the list are each in reach', async (scene) => {
  const { world, open } = scene;
  const repository = await world.repository('atlas');
  await world.runScript(repository, SCRIPT, 'Write two files, and say so in a title that is long');
  const page = await open(NARROW);
  await fits(page, 'the overview');
  await id(page, 'show-list').click();
  await fits(page, 'the list');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'narrow-list');
  await page.keyboard.press('Escape');
  await focusOn(page, 'show-list');
  await page.keyboard.press('Enter');
  await row(page).first().click();
  await says(page, 'Both are written.');
  await id(page, 'list').waitFor({ state: 'detached' });

  assert.ok(await seen(page, 'composer-input'));
  await fits(page, 'the conversation');
  await shoot(page, 'narrow-talk');
  await id(page, 'view-changes').getByText('2').first().waitFor();
  await id(page, 'view-changes').click();
  await page.locator('[data-path="src/lib.rs"]').click();
  await id(page, 'diff').getByText('LONG').waitFor();
  assert.ok(!(await seen(page, 'composer-input')), 'the changes have the whole width');
  const diff = await id(page, 'diff').boundingBox();
  assert.ok(diff.width > 460, `the diff is ${diff.width} px wide`);
  await fits(page, 'the changes');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'narrow-changes');

  // By keys: what is gone to is brought into sight, and what is covered is never focused.
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await focusOn(page, 'transcript');
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await focusOn(page, 'changed-files');
  for (let stop = 0; stop < 25; stop += 1) {
    await page.keyboard.press('Tab');
    const covered = await page.evaluate(() => document.activeElement.closest('[inert]') !== null);
    assert.ok(!covered, 'the focus is not under the changes');
  }
  await page.keyboard.press('i');
  await focusOn(page, 'composer-input');

  // With room for both there are no tabs, and both are seen.
  await page.setViewportSize({ width: 1200, height: 800 });
  await id(page, 'view-talk').waitFor({ state: 'detached' });
  await id(page, 'composer-input').waitFor();
  await id(page, 'diff').waitFor();
  await done(page);
});

scenario('at 480 px a story is begun, with each limit in sight', async ({ world, open }) => {
  await world.call('project_add', { path: await world.repository('atlas') });
  const page = await open(NARROW);
  await id(page, 'runtime').selectOption('openai');
  await id(page, 'more-wishes').click();
  for (const field of ['model', 'address', 'headers', 'limit-dollars', 'limit-tokens', 'send']) {
    await id(page, field).scrollIntoViewIfNeeded();
    assert.ok(await seen(page, field), `${field} is seen`);
  }
  await fits(page, 'a new story');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'narrow-new');
  await page.keyboard.press('Control+k');
  await id(page, 'palette-input').fill('models and keys');
  await fits(page, 'the palette');
  await page.keyboard.press('Enter');
  await id(page, 'models').waitFor();
  await fits(page, 'models and keys');
  await shoot(page, 'narrow-models');
});

/** Nothing is wider than the window, and no button lies outside of it. */
async function fits(page, what) {
  const out = await page.evaluate(() => {
    const far = [];
    const pane = (at) => at.closest('.scroll, [data-testid="transcript"], [data-testid="diff"]');
    for (const one of document.querySelectorAll('button, input, select, textarea, h1')) {
      const { left, right, width } = one.getBoundingClientRect();
      const scrolls = pane(one) && pane(one).scrollWidth > pane(one).clientWidth;
      if (width > 1 && !scrolls && (left < -1 || right > innerWidth + 1))
        far.push(one.dataset.testid ?? one.innerText);
    }
    return { far, wide: document.documentElement.scrollWidth - innerWidth };
  });
  assert.deepEqual(out, { far: [], wide: 0 }, what);
}

/** Whether what is at its middle is itself. */
function seen(page, testid) {
  return id(page, testid).evaluate((one) => {
    const { left, top, width, height } = one.getBoundingClientRect();
    const there = document.elementFromPoint(left + width / 2, top + height / 2);
    return there !== null && (one.contains(there) || there.contains(one));
  });
}

async function focusOn(page, testid) {
  await page.waitForFunction(
    (wanted) => document.activeElement?.closest(`[data-testid="${wanted}"]`),
    testid,
  );
}

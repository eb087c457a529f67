// The main flow without a pointer, and what floats above the window.
import assert from 'node:assert/strict';
import { accessFaults, addRepository, card, done, id, says, scenario, shoot } from './page.mjs';

scenario('the main flow by keys alone', async ({ open }) => {
  const page = await open();
  await id(page, 'try-demo').waitFor();
  await tabTo(page, 'try-demo');
  await page.keyboard.press('Enter');
  await card(page).waitFor();
  await keyUntilGone(page, 'a', card(page));
  await done(page);

  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await inside(page, 'changed-files');
  await page.keyboard.press('j');
  await page.locator('[data-path$="greet.sh"][aria-current="true"]').waitFor();
  await page.keyboard.press('Enter');
  await inside(page, 'diff');
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await inside(page, 'transcript');
  await page.keyboard.press('i');
  await inside(page, 'composer-input');
  await page.keyboard.type('Thank you');
  await page.keyboard.press('Enter');
  await says(page, 'You wrote:');
  await done(page);

  await page.keyboard.press('Escape');
  await page.keyboard.press('F6');
  await page.keyboard.press('?');
  await id(page, 'key-sheet').waitFor();
  await shoot(page, 'keys');
  assert.deepEqual(await accessFaults(page), []);
  await page.keyboard.press('Escape');
  await id(page, 'key-sheet').waitFor({ state: 'detached' });

  await page.keyboard.press('Control+k');
  await inside(page, 'palette-input');
  await shoot(page, 'palette');
  assert.deepEqual(await accessFaults(page), []);
  await page.keyboard.type('overview');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: /^1 story/ }).waitFor();
  await shoot(page, 'overview');
  assert.deepEqual(await accessFaults(page), []);
  await page.keyboard.press('j');
  await id(page, 'transcript').waitFor();
  await page.keyboard.press('n');
  await inside(page, 'composer-input');
  await page.getByText('What should be done in').waitFor();
});

scenario(
  'a new story, the question for a folder, and every stop of the Tab key',
  async ({ world, open }) => {
    const page = await open();
    await id(page, 'dropzone').click();
    await id(page, 'folder-path').waitFor();
    assert.deepEqual(await accessFaults(page), []);
    await page.keyboard.press('Escape');
    await addRepository(page, await world.repository('atlas'));
    await shoot(page, 'new-story');
    assert.deepEqual(await accessFaults(page), []);
    await id(page, 'composer-input').focus();
    const seen = new Set();
    for (let stop = 0; stop < 40; stop += 1) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(focused);
      if (at === null) continue;
      assert.ok(at.visible, `the focus is seen on ${at.name}`);
      seen.add(at.name);
    }
    for (const name of ['new-story', 'runtime', 'place', 'base', 'dropzone', 'try-demo'])
      assert.ok(seen.has(name), `Tab reaches ${name}, not only ${[...seen].join(', ')}`);
  },
);

async function tabTo(page, testid) {
  for (let stop = 0; stop < 30; stop += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(focused);
    if (at?.name === testid) return;
  }
  assert.fail(`Tab does not reach ${testid}`);
}

/** What has the focus, and whether an outline or a border of its own or of its frame shows that. */
function focused() {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const marked = [at, at.parentElement, at.closest('.compose, .box')];
  const visible = marked.some((one) => {
    const style = one && getComputedStyle(one);
    return style && (style.outlineStyle !== 'none' || one.matches('.box, .compose'));
  });
  return { name: at.dataset.testid ?? at.getAttribute('aria-label') ?? at.innerText, visible };
}

async function inside(page, testid) {
  await page.waitForFunction(
    (wanted) => document.activeElement?.closest(`[data-testid="${wanted}"]`),
    testid,
  );
}

/** As a person would: once more when the card had only just appeared. */
async function keyUntilGone(page, key, gone) {
  for (let turn = 0; turn < 20 && (await gone.count()) > 0; turn += 1) {
    await page.keyboard.press(key);
    await gone.waitFor({ state: 'detached', timeout: 500 }).catch(() => undefined);
  }
  assert.equal(await gone.count(), 0);
}

// A conversation of ten thousand events is opened and read. How long it took is printed, not judged.
import assert from 'node:assert/strict';
import { id, row, say, says, scenario } from './page.mjs';

const SCRIPT = {
  turns: [
    [
      { say: 'The very first words.' },
      {
        repeat: {
          times: 1150,
          steps: [
            { say: 'One more thing was looked at, and this says what was found in it.' },
            { tools: [{ other: { name: 'Read', input: { file_path: 'x' }, output: 'x\ny' } }] },
          ],
        },
      },
      { say: 'The very last words.' },
    ],
    [
      { say: 'More to come.' },
      {
        repeat: { times: 12, steps: [{ say: 'Another line of the second turn.' }, { wait: 150 }] },
      },
      { say: 'All of it came.' },
    ],
  ],
};

scenario('10,000 events open, and only those in sight are drawn', async ({ world, open }) => {
  await world.runScript(await world.repository('atlas'), SCRIPT, 'A long look');
  await world.allDone();
  const [run] = await world.runs();
  assert.ok(run.last_seq >= 10_000, `${run.last_seq} events`);
  const page = await open();
  const times = [];
  for (let turn = 0; turn < 3; turn += 1) {
    await row(page).waitFor();
    times.push(await openingTime(page));
    // A page that was loaded again opens what was open: begin at the overview.
    await page.evaluate(() => sessionStorage.removeItem('musher.story'));
    if (turn < 2) await page.reload();
  }
  console.log(`${run.last_seq} events opened in ${times.map(Math.round).join(', ')} ms`);
  assert.ok((await page.locator('[data-testid="transcript"] .item').count()) < 80);

  const list = id(page, 'transcript');
  await list.focus();
  await list.evaluate((box) => (box.scrollTop = 0));
  await says(page, 'The very first words.');
  await list.evaluate((box) => (box.scrollTop = box.scrollHeight));
  await says(page, 'The very last words.');
  assert.ok(await atEnd(list));
});

scenario('the reader is followed only at the end', async ({ world, open }) => {
  const short = structuredClone(SCRIPT);
  short.turns[0][1].repeat.times = 60;
  await world.runScript(await world.repository('atlas'), short, 'A look');
  await world.allDone();
  const page = await open();
  await row(page).click();
  await says(page, 'The very last words.');
  await say(page, 'go on');
  await says(page, 'More to come.');
  const list = id(page, 'transcript');
  assert.ok(await atEnd(list), 'at the end it sticks to it');
  // The composer grows while a scroll event of the list's own is under way.
  await list.evaluate((box) => {
    box.style.maxHeight = `${box.clientHeight - 120}px`;
    box.dispatchEvent(new Event('scroll'));
  });
  await page.waitForFunction(endIsSeen);
  await list.hover();
  await page.mouse.wheel(0, -900);
  await page.getByRole('button', { name: /Newest/ }).waitFor();
  const before = await reading(list);
  const height = await list.evaluate((box) => box.scrollHeight);
  await page.waitForFunction(
    (known) => document.querySelector('[data-testid="transcript"]').scrollHeight > known + 60,
    height,
  );
  assert.deepEqual(await reading(list), before, 'what is read stays where it is');
  await page.getByRole('button', { name: /Newest/ }).click();
  await says(page, 'All of it came.');
  await page.waitForFunction(endIsSeen);
});

function endIsSeen() {
  const box = document.querySelector('[data-testid="transcript"]');
  return box.scrollHeight - box.clientHeight - box.scrollTop < 24;
}

/** From the click until the end of the conversation is drawn. */
async function openingTime(page) {
  return page.evaluate(async () => {
    const from = performance.now();
    document.querySelector('[data-testid="run-row"]').click();
    const shown = () =>
      document
        .querySelector('[data-testid="transcript"]')
        ?.textContent.includes('The very last words.');
    while (!shown()) await new Promise((next) => requestAnimationFrame(next));
    await new Promise((next) => requestAnimationFrame(next));
    return performance.now() - from;
  });
}

const atEnd = (list) =>
  list.evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop < 24);

/** The first row in sight and where it stands. */
const reading = (list) =>
  list.evaluate((box) => {
    const top = box.getBoundingClientRect().top;
    const rows = [...box.querySelectorAll('.item')];
    const first = rows.find((row) => row.getBoundingClientRect().bottom > top);
    return { text: first.textContent, at: Math.round(first.getBoundingClientRect().top - top) };
  });

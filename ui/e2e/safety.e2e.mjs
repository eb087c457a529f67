// What comes with a repository or out of an agent must neither run nor reach out by itself.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import {
  accessFaults,
  addRepository,
  card,
  done,
  id,
  pressUntil,
  row,
  says,
  scenario,
  shoot,
} from './page.mjs';

/** Stands where `claude` would, and leaves a mark where the real one would run what it finds. */
const CLAUDE = `#!/bin/sh
[ "$1" = --version ] && echo "2.1.330 (Claude Code)" && exit
case " $* " in *" --setting-sources user "*) ;; *) echo settings >> "$HOME/ran" ;; esac
case " $* " in *" --strict-mcp-config "*) ;; *) echo servers >> "$HOME/ran" ;; esac
echo once >> "$HOME/started"
exec "@demo-agent@" "$@"
`;

scenario('nothing of the repository runs before it is trusted', async ({ world, open }) => {
  world.program('claude', CLAUDE);
  const ran = join(world.home, 'ran');
  const command = `echo hook >> ${ran}`;
  const hooks = { SessionStart: [{ hooks: [{ type: 'command', command }] }] };
  const root = await world.repository('atlas', {
    'README.md': '# Atlas\n',
    '.mcp.json': JSON.stringify({ mcpServers: { x: { command: 'sh', args: ['-c', command] } } }),
    '.claude/settings.json': JSON.stringify({ hooks }),
  });
  world.write(root, { '.git/hooks/post-checkout': `#!/bin/sh\n${command}\n` });
  chmodSync(join(root, '.git/hooks/post-checkout'), 0o755);

  const page = await open();
  await addRepository(page, root);
  await begin(page);
  await id(page, 'trust').waitFor();
  for (const path of ['.mcp.json', '.claude/settings.json', 'post-checkout'])
    await id(page, 'trust').getByText(path).first().waitFor();
  assert.ok(!existsSync(join(world.home, 'started')), 'it asks before it starts');
  await shoot(page, 'trust');
  assert.deepEqual(await accessFaults(page), []);
  await id(page, 'trust-keep-off').click();
  await says(page, /Hello from the scripted agent/);
  await done(page);
  assert.ok(existsSync(join(world.home, 'started')));
  assert.ok(!existsSync(ran), 'nothing ran');

  // Asked once: the next story starts at once. Asked again when a thing changes.
  await id(page, 'new-story').click();
  await begin(page);
  await says(page, /Hello from the scripted agent/);
  await done(page);
  assert.ok(!existsSync(ran));
  world.write(root, { '.mcp.json': '{"mcpServers": {"y": {"command": "true"}}}' });
  await world.git(
    root,
    '-c',
    'user.name=Ada',
    '-c',
    'user.email=a@b.example',
    'commit',
    '-qam',
    'y',
  );
  await id(page, 'new-story').click();
  await begin(page);
  await id(page, 'trust').waitFor();
  await id(page, 'trust-allow').click();
  await says(page, /Hello from the scripted agent/);
  await done(page);
  assert.equal(readFileSync(ran, 'utf8'), 'settings\nservers\n', 'trusted, they may run');
});

async function begin(page) {
  await id(page, 'runtime').selectOption('claude-code');
  await id(page, 'composer-input').fill('Say hello [[script:hello]]');
  await page.keyboard.press('Enter');
}

scenario('hostile output neither runs nor reaches out', async ({ world, open }) => {
  const listener = createServer((_, response) => response.end());
  const asked = [];
  listener.on('request', (request) => asked.push(request.url));
  await new Promise((ready) => listener.listen(0, '127.0.0.1', ready));
  try {
    const bad = hostile(`http://127.0.0.1:${listener.address().port}`);
    const page = await open();
    const repository = await world.repository('atlas');
    await world.runScript(repository, script(bad), bad);
    await row(page).click();
    await card(page).getByText('Wants to run a command').waitFor();
    await lookAtAll(page);
    await shoot(page, 'hostile');
    await id(page, 'transcript').evaluate((list) => (list.scrollTop = 0));
    await page.locator('[data-url]').first().click();
    await id(page, 'link-url').waitFor();
    await page.keyboard.press('Escape');
    await backToTheEnd(page);
    await pressUntil(page, 'd', card(page).getByText('Wants to run a command'));
    await page.getByRole('heading', { name: 'Has a plan' }).waitFor();
    await lookAtAll(page);
    await backToTheEnd(page);
    await id(page, 'deny').click();
    await id(page, 'question').waitFor();
    await lookAtAll(page);
    await backToTheEnd(page);
    await pressUntil(page, '1', id(page, 'question'));
    await done(page);
    await page.keyboard.press('r');
    await lookAtAll(page);

    const file = page.locator('[data-testid="changed-file"]').first();
    assert.match(await file.innerText(), /<img/);
    await file.click();
    await id(page, 'diff').getByText('javascript:').first().waitFor();
    await page.keyboard.press('Control+k');
    await id(page, 'palette-input').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Overview/ }).click();
    await lookAtAll(page);
    assert.deepEqual(asked, [], 'nobody asks the listener');
  } finally {
    listener.close();
  }
});

function hostile(origin) {
  return [
    `![picture](${origin}/markdown.png)`,
    `<img src="${origin}/html.png" onerror="window.ran=1">`,
    `<svg onload="window.ran=1"></svg><style>@import "${origin}/s.css";</style>`,
    `<iframe src="${origin}/frame"></iframe><link rel="prefetch" href="${origin}/link">`,
    `[link](javascript:window.ran=1) <a href="javascript:window.ran=1">raw</a>`,
    `<script>window.ran=1</script>`,
  ].join(' ');
}

function script(bad) {
  const options = [
    { label: bad, description: bad },
    { label: 'b', description: 'b' },
  ];
  const question = { question: bad, header: bad, multiSelect: false, options };
  const name = '<img src=x onerror=window.ran=1>';
  return {
    turns: [
      [
        { say: bad },
        { say: `# ${bad}\n\n- ${bad}\n\n| a |\n|---|\n| ${bad} |\n\n\`\`\`html\n${bad}\n\`\`\`` },
        { think: bad },
        { plan: [[bad, 'pending']] },
        { tools: [{ write: { path: `${name}.html`, content: `${bad}\n` } }] },
        { tools: [{ other: { name, input: { file_path: bad, query: bad }, output: bad } }] },
        { line: { type: name, text: bad } },
        { line: { type: 'system', subtype: name, text: bad } },
        { stderr: bad },
        { raw: `${bad}\n` },
        { tool: { tool: { run: { command: `: '${bad}'`, description: bad } } } },
        { plan_approval: { plan: bad } },
        { question: { questions: [question] } },
        { say: bad },
      ],
    ],
  };
}

/** Looking around scrolls, and what is out of sight takes no key. */
async function backToTheEnd(page) {
  await id(page, 'transcript').focus();
  await page.keyboard.press('End');
  await page.locator('[data-testid="permission"], [data-testid="question"]').waitFor();
}

/** Opens everything that can be unfolded, and sees that it is text and nothing else. */
async function lookAtAll(page) {
  const found = await page.evaluate(async () => {
    const count = (selector) => document.querySelectorAll(selector).length;
    const frame = () =>
      new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const list = document.querySelector('[data-testid="transcript"]') ?? document.body;
    const sum = { elements: 0, handlers: 0, links: 0, addresses: 0 };
    list.scrollTop = 0;
    for (;;) {
      await frame();
      for (const fold of list.querySelectorAll('[aria-expanded="false"]')) fold.click();
      await frame();
      sum.elements += count('#app :is(img, iframe, link, style, object, script)');
      sum.handlers += count('[onerror], [onload], [onclick]');
      sum.links += count('a[href]');
      const addresses = [...document.querySelectorAll('[data-url]')];
      sum.addresses += addresses.filter((one) => !/^https?:/.test(one.dataset.url)).length;
      if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) break;
      list.scrollTop += list.clientHeight / 2;
    }
    return { ...sum, ran: window.ran ?? null };
  });
  assert.deepEqual(found, { elements: 0, handlers: 0, links: 0, addresses: 0, ran: null });
}

// A world for each test: a data directory, a home and git repositories in a folder of its own, and
// the real `musher serve` in it. When the test ends, its agents are stopped, its processes are gone
// and the folder is removed.
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { modelServer } from './model-server.mjs';

const run = promisify(execFile);
const UI = resolve(fileURLToPath(import.meta.url), '../..');
const MUSHER = resolve(
  process.env.MUSHER_BIN ?? process.env.MUSHER ?? join(UI, '../target/debug/musher'),
);
const PAGE = resolve(process.env.MUSHER_PAGE ?? join(UI, 'dist'));
/** The longest wait for something that must come. */
export const SOON = 30_000;

export class World {
  #serve = null;
  #said = '';
  #models = [];
  left = [];

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'musher-e2e-'));
    this.home = join(this.dir, 'home');
    this.data = join(this.dir, 'data');
    this.bin = join(this.home, '.local/bin');
    mkdirSync(this.bin, { recursive: true });
    this.env = {
      HOME: this.home,
      PATH: `${this.bin}:/usr/local/bin:/usr/bin:/bin`,
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
      MUSHER_DATA_DIR: this.data,
      GIT_CONFIG_GLOBAL: '/dev/null',
      // Whoever runs the tests keeps their own keychain.
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/no/such/bus',
    };
  }

  /** Starts the server; resolves with the address that opens the page. */
  async serve(port = '0') {
    const args = ['serve', '--port', port, '--page', PAGE];
    const child = spawn(MUSHER, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#serve = child;
    child.stderr.on('data', (bytes) => (this.#said += bytes));
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('http://')) continue;
      child.stdout.resume();
      this.url = line.trim();
      return this.url;
    }
    throw new Error(`musher serve ended before it named its address: ${this.#said}`);
  }

  /** As a crash: nothing can be written any more. */
  async kill() {
    await this.#ended('SIGKILL');
  }

  async #ended(signal) {
    const child = this.#serve;
    this.#serve = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await gone;
  }

  /** Waits until every run is over. */
  async allDone() {
    const deadline = Date.now() + 2 * SOON;
    while ((await this.call('run_list')).some((one) => one.phase !== 'done'))
      if (Date.now() > deadline) throw new Error('a run does not end');
  }

  /** One call of the API, as the page makes it. */
  async call(name, params = {}) {
    const { origin, hash } = new URL(this.url);
    const token = new URLSearchParams(hash.slice(1)).get('token');
    const response = await fetch(`${origin}/rpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(params),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(`${name}: ${JSON.stringify(body)}`);
    return body;
  }

  /** A model server of this world, see `model-server.mjs`. */
  async modelServer(script) {
    const server = await modelServer(script);
    this.#models.push(server);
    return server;
  }

  /** `musher` on the same data directory. */
  async musher(...args) {
    const options = { env: this.env, maxBuffer: 256 * 1024 * 1024 };
    return (await run(MUSHER, args, options)).stdout;
  }

  async runs() {
    return jsonLines(await this.musher('--json', 'runs'));
  }

  async events(id) {
    return jsonLines(await this.musher('--json', 'events', id));
  }

  /** Starts a run of a script that is not built in, at once and without pauses. */
  async runScript(repository, script, prompt, mode = 'accept-edits') {
    const file = join(this.dir, 'script.json');
    writeFileSync(file, JSON.stringify({ about: 'A test.', ...script }));
    const args = ['--demo-script', file, '--demo-speed', 'fast'];
    const settings = { agent_name: 'coder-1', runtime: 'demo', permission_mode: mode, args };
    return this.call('run_start', { prompt, place: { kind: 'fresh', repository }, settings });
  }

  /** A repository with these files, committed. */
  async repository(name, files = { 'README.md': '# A project\n' }) {
    const root = join(this.dir, name);
    this.write(root, files);
    await this.git(root, 'init', '-q', '-b', 'main');
    await this.git(root, 'add', '-A');
    const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
    await this.git(root, ...who, 'commit', '-q', '-m', 'A beginning');
    return root;
  }

  async git(root, ...args) {
    return (await run('git', ['-C', root, ...args], { env: this.env })).stdout;
  }

  write(root, files) {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  }

  /** A program of this world's PATH; the demo agent stands beside `musher`. */
  program(name, text) {
    const agent = join(dirname(MUSHER), 'musher-demo-agent');
    writeFileSync(join(this.bin, name), text.replaceAll('@demo-agent@', agent));
    chmodSync(join(this.bin, name), 0o755);
  }

  async end() {
    try {
      if (this.#serve) await this.#stopAgents();
    } finally {
      await this.#ended('SIGTERM');
      for (const server of this.#models) server.close();
      this.left = await this.#killLeft();
      rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
    }
    if (this.left.length > 0)
      throw new Error(`processes outlived their run: ${this.left.join(', ')}`);
  }

  async #stopAgents() {
    const live = (await this.call('run_list')).filter((one) => one.phase !== 'done');
    for (const one of live) await this.call('run_stop', { run: one.id });
    await this.allDone();
  }

  /** Keepers and children that still live although every run is over; they are ended here by pid. */
  async #killLeft() {
    const runs = join(this.data, 'runs');
    const files = existsSync(runs)
      ? readdirSync(runs).map((one) => join(runs, one, 'keeper.json'))
      : [];
    const pids = files.filter(existsSync).flatMap((file) => pidsOf(readFileSync(file, 'utf8')));
    // A keeper writes how its run ended and then goes: on a busy machine that takes a moment.
    const deadline = Date.now() + 10_000;
    let alive = pids;
    while (alive.length > 0 && Date.now() < deadline) {
      await new Promise((next) => setTimeout(next, 20));
      alive = alive.filter((pid) => mentions(pid, this.dir));
    }
    for (const pid of alive) process.kill(pid, 'SIGKILL');
    return alive;
  }
}

function jsonLines(text) {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}

function pidsOf(json) {
  return [...json.matchAll(/"\w*(?:pid|keeper|child)\w*"\s*:\s*(\d+)/g)].map((found) =>
    Number(found[1]),
  );
}

/** Whether the process lives and is of this world: a pid may be somebody else's by now. */
function mentions(pid, text) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(text);
  } catch {
    return false;
  }
}

// An analyst's journey through the interface against a running server: alert, evidence, trace, logs, rules, map, both themes.
//
//   node e2e/journey.mjs --base http://127.0.0.1:8080 [--login URL] --out DIR [--big-trace ID] [--patience N]
//
// --patience multiplies the limits on times, for development builds and busy machines.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { accessibilityFaults, startBrowser, watchedPage } from './browser.mjs';

const { values: flags } = parseArgs({
  options: {
    base: { type: 'string' },
    login: { type: 'string' },
    out: { type: 'string' },
    'big-trace': { type: 'string' },
    patience: { type: 'string', default: '1' },
  },
});
if (!flags.base || !flags.out) {
  console.error(
    'usage: node e2e/journey.mjs --base URL [--login URL] --out DIR [--big-trace ID] [--patience N]',
  );
  process.exit(2);
}
const patience = Number(flags.patience);
const base = flags.base.replace(/\/$/, '');
mkdirSync(flags.out, { recursive: true });

const FIRST_ALERT_MILLIS = 45_000;
const BIG_TRACE_MILLIS = 1_500;
const SCROLL_TASK_MILLIS = 150;
const STEP_MILLIS = 15_000;

const browser = await startBrowser();
const { page, misdeeds } = await watchedPage(browser, base);
page.setDefaultTimeout(STEP_MILLIS);

let passed = 0;
const failures = [];
let shots = 0;

async function step(name, run) {
  const before = misdeeds.length;
  const startedAt = Date.now();
  try {
    await run();
    if (misdeeds.length > before) throw new Error(misdeeds.slice(before).join('\n       '));
    passed += 1;
    console.log(`ok   ${name} (${Date.now() - startedAt} ms)`);
  } catch (error) {
    failures.push(name);
    console.log(`FAIL ${name}\n       ${String(error.message).split('\n').slice(0, 14).join('\n       ')}`);
    await page.screenshot({ path: join(flags.out, `FAIL-${failures.length}.png`) }).catch(() => {});
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

async function shot(name) {
  shots += 1;
  await page.screenshot({ path: join(flags.out, `${String(shots).padStart(2, '0')}-${name}.png`) });
}

async function accessible() {
  const faults = await accessibilityFaults(page);
  expect(faults.length === 0, `accessibility:\n${faults.join('\n')}`);
}

const param = (name) => new URL(page.url()).searchParams.get(name);
const open = (path) => page.goto(base + path);
const heading = (text) => page.getByRole('heading', { level: 1, name: text }).waitFor();
/** Alerts arrive all the time: waits until nothing has been asked for a moment. */
const settled = () =>
  page.waitForLoadState('load').then(() => page.waitForFunction(() => document.fonts.status === 'loaded'));

async function setTheme(label) {
  await page.getByRole('button', { name: /^Theme:/ }).click();
  await page.getByRole('menuitem', { name: label }).click();
  await page.getByRole('menuitem').first().waitFor({ state: 'hidden' });
}

let traceId = '';
let alertPath = '';
let tracePath = '';

await step('the first alert is visible after the page opens', async () => {
  const startedAt = Date.now();
  await page.goto(flags.login ?? `${base}/alerts`);
  if (flags.login) {
    await page.waitForURL((url) => url.pathname !== '/login');
    expect(!page.url().includes('t='), 'the login token stays in the address');
    await page.getByRole('link', { name: 'Alerts' }).click();
  }
  await page.locator('[data-alert]').first().waitFor({ timeout: FIRST_ALERT_MILLIS });
  console.log(`     first alert visible ${Date.now() - startedAt} ms after page open`);
  await settled();
  await shot('alerts-light');
  await accessible();
});

await step('the alert queue works by keyboard and keeps its place in the address', async () => {
  await page.keyboard.press('j');
  await page.waitForURL(/[?&]at=/);
  const first = param('at');
  await page.keyboard.press('k');
  expect(param('at') === first, 'k at the top moves away from the first alert');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/alerts\/[^?]+/);
  await page.getByRole('heading', { name: /^Evidence/ }).waitFor();
  alertPath = new URL(page.url()).pathname;
});

await step('the alert page says why it fired', async () => {
  await page.getByRole('link', { name: 'Trace', exact: true }).first().waitFor();
  await page.locator('table time').first().waitFor();
  await shot('alert-light');
  await accessible();
});

await step('an alert is acknowledged with a comment and reopened', async () => {
  const reopenFirst = page.getByRole('button', { name: 'Reopen' });
  if (await reopenFirst.isVisible()) {
    await reopenFirst.click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reopen' }).click();
    await page.getByRole('button', { name: 'Acknowledge' }).waitFor();
  }
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('journey: looking at it');
  await page.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
  await page.getByText('journey: looking at it').first().waitFor();
  await page.getByRole('button', { name: 'Reopen' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reopen' }).click();
  await page.getByRole('button', { name: 'Acknowledge' }).waitFor();
});

await step('the evidence leads to its span in the trace', async () => {
  await page.getByRole('link', { name: 'Trace', exact: true }).first().click();
  await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
  await page.getByRole('treeitem').first().waitFor();
  traceId = new URL(page.url()).pathname.split('/').pop();
  tracePath = page.url().slice(base.length);
  expect(param('span'), 'the evidence link has no span');
  await page.getByRole('complementary', { name: /^Span / }).waitFor();
  expect(
    (await page.locator('[role="treeitem"][aria-selected="true"]').count()) === 1,
    'the span is not selected',
  );
  await shot('trace-light');
  await accessible();
});

await step('the trace works by keyboard, and reload and back keep the span', async () => {
  const before = param('span');
  await page.keyboard.press('Home');
  await page.keyboard.press('j');
  const rows = await page.getByRole('treeitem').count();
  if (rows > 1) {
    await page.waitForURL((url) => url.searchParams.get('span') !== before || rows === 2);
  }
  const chosen = param('span');
  await page.reload();
  await page.locator('[role="treeitem"][aria-selected="true"]').waitFor();
  expect(param('span') === chosen, 'the span is lost on reload');
  await page.keyboard.press('Escape');
  await page.waitForURL((url) => !url.searchParams.has('span'));
  await page.getByRole('button', { name: 'Fold everything' }).click();
  await page.waitForURL(/depth=0/);
  const folded = await page.getByRole('treeitem').count();
  expect(folded <= rows, 'folding shows more rows');
  await page.getByRole('button', { name: 'Unfold all' }).click();
  await page.waitForURL((url) => !url.searchParams.has('depth'));
  await page.keyboard.press('/');
  await page.keyboard.type('a');
  await page
    .getByText(/^\d+( of [\d,]+)?$|no match/)
    .first()
    .waitFor();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
});

await step('dragging over the minimap zooms, and the zoom is in the address', async () => {
  const mini = page.getByRole('img', { name: /^Overview of the whole trace/ });
  const box = await mini.boundingBox();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 24, { steps: 6 });
  await page.mouse.up();
  await page.waitForURL(/zoom=\d+-\d+/);
  await page.reload();
  await page.getByRole('button', { name: /shown$/ }).click();
  await page.waitForURL((url) => !url.searchParams.has('zoom'));
});

await step('the trace shows its logs in time order, and they open in the log search', async () => {
  await page.getByRole('tab', { name: 'Logs' }).click();
  await page.waitForURL(/tab=logs/);
  await page
    .getByText(/log records?.*oldest first|has no logs/)
    .first()
    .waitFor();
  await shot('trace-logs-light');
  await accessible();
  await page.getByRole('tab', { name: 'JSON' }).click();
  await page.getByRole('region', { name: 'Trace as JSON' }).waitFor();
  await page.getByRole('tab', { name: 'Logs' }).click();
  const link = page.getByRole('link', { name: 'Open in log search' });
  if (await link.isVisible()) {
    await link.click();
    await page.waitForURL(/\/logs\?/);
    expect(param('trace') === traceId, 'the log search is not about the trace');
  } else {
    await open('/logs');
  }
  await page.locator('[data-row]').first().waitFor();
});

await step('a log record expands in place and stays so after a reload', async () => {
  await page.locator('[data-row]').first().click();
  await page.waitForURL(/open=/);
  await page.getByRole('table', { name: 'Resource attributes' }).first().waitFor();
  await page.reload();
  await page.getByRole('table', { name: 'Resource attributes' }).first().waitFor();
  await shot('logs-light');
  await accessible();
});

await step('log search: text, severity, back', async () => {
  await open('/logs?range=24h');
  await page.locator('[data-row]').first().waitFor();
  await page.getByLabel('Text', { exact: true }).fill('login');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=login/);
  await page.locator('[data-row]').first().waitFor();
  await page.goBack();
  await page.waitForURL((url) => !url.searchParams.has('q'));
  expect(param('range') === '24h', 'the range is lost on back');
});

await step('trace search: form, filters, chart, reload and back keep the state', async () => {
  await open('/traces');
  await page.locator('a[data-row]').first().waitFor();
  await shot('traces-light');
  await accessible();
  await page.getByRole('combobox', { name: 'Status' }).click();
  await page.getByRole('option', { name: 'error' }).click();
  await page.waitForURL(/status=error/);
  await page.getByRole('textbox', { name: 'Add attribute filter' }).fill('client.address');
  await page.keyboard.press('Enter');
  await page.waitForURL(/filter=client.address/);
  await page.locator('a[data-row], h2').first().waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Remove filter client.address' }).waitFor();
  expect(param('status') === 'error', 'the status is lost on reload');
  await page.goBack();
  await page.waitForURL(
    (url) => !url.searchParams.has('filter') && url.searchParams.get('status') === 'error',
  );
  await page.getByRole('button', { name: 'Clear', exact: true }).click();
  await page.locator('a[data-row]').first().click();
  await page.getByRole('treeitem').first().waitFor();
  await page.goBack();
  await heading('Traces');
});

await step('service map: a click opens the panel, the address keeps it, and it leads to traces', async () => {
  await open('/map');
  const node = page.locator('.react-flow__node:not(:has([data-outside="true"]))').first();
  await node.waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.react-flow__edge').length > 0);
  await node.click();
  await page.waitForURL(/service=/);
  await page.getByRole('complementary', { name: /^Service / }).waitFor();
  await page.reload();
  await page.getByRole('complementary', { name: /^Service / }).waitFor();
  await page.getByRole('heading', { name: 'Operations' }).waitFor();
  const charts = page.getByRole('region', { name: /over time$/ });
  await charts.getByRole('img', { name: /^Rate: at most [1-9]/ }).hover();
  await charts.getByText(/, \d+ s$/).waitFor();
  await shot('map-light');
  await accessible();
  await page.getByRole('complementary').getByRole('link', { name: 'Traces', exact: true }).click();
  await page.waitForURL(/\/traces\?.*service=/);
  await page.goBack();
  await page.getByRole('complementary', { name: /^Service / }).waitFor();
});

await step('rules: the list opens a rule and shows its text', async () => {
  await open('/rules');
  await page.locator('a[data-row]').first().waitFor();
  await shot('rules-light');
  await accessible();
  await page.locator('a[data-row]').first().click();
  await page.locator('.cm-content').waitFor();
  await page
    .getByText(/^Valid$|problems?$/)
    .first()
    .waitFor();
});

await step(
  'rules: a wrong text shows its place and cannot be saved; repaired it saves, and is deleted',
  async () => {
    const file = `journey-${Date.now()}.yml`;
    await open('/rules/new');
    await page.getByText('Valid', { exact: true }).waitFor();
    await page.getByRole('textbox', { name: 'File name' }).fill(file);
    await page.locator('.cm-content').click();
    await page.keyboard.press('Control+End');
    // A bracket that never closes: wrong in every YAML parser.
    await page.keyboard.insertText('\nlevel: [high\n');
    await page
      .getByText(/problems?$/)
      .first()
      .waitFor();
    await page.locator('.cm-lint-marker-error').first().waitFor();
    expect(await page.getByRole('button', { name: 'Save' }).isDisabled(), 'a wrong rule can be saved');
    await page
      .getByTitle(/^Go to line/)
      .first()
      .click();
    await shot('rule-wrong-light');
    await accessible();
    await page.locator('.cm-content').click();
    await page.keyboard.press('Control+z');
    await page.getByText('Valid', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.waitForURL(new RegExp(`/rules/${file}`));
    await page.getByText('Valid', { exact: true }).waitFor();
    // A second save carries the tag of the first.
    await page.locator('.cm-content').click();
    await page.keyboard.press('Control+Home');
    await page.keyboard.insertText('# written by the journey\n');
    await page.getByText('not saved').waitFor();
    await page.getByText('Valid', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('not saved').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL(/\/rules$|\/rules\?/);
  },
);

await step('shortcut sheet, palette and zone switch', async () => {
  await open('/alerts');
  await heading('Alerts');
  await page.keyboard.press('Shift+?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await page.waitForTimeout(250);
  await accessible();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('Control+k');
  await page.getByRole('textbox', { name: 'Jump to' }).fill(traceId || 'logs');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/(traces\/|logs)/);
  await page.getByRole('button', { name: /^Time zone/ }).click();
  await page.getByRole('menuitem', { name: 'UTC' }).click();
  await page.waitForURL(/tz=UTC/);
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.waitForURL(/\/rules/);
  expect(param('tz') === 'UTC', 'the zone is lost from page to page');
});

await step('the dark theme is complete', async () => {
  await open('/traces');
  await page.locator('a[data-row]').first().waitFor();
  await setTheme('Dark');
  const pages = [
    ['traces', '/traces', 'a[data-row]'],
    ['trace', tracePath, '[role="treeitem"]'],
    ['logs', '/logs?range=24h', '[data-row]'],
    ['map', '/map', '.react-flow__node'],
    ['alerts', '/alerts', '[data-alert]'],
    ['alert', alertPath, 'table time'],
    ['rules', '/rules', 'a[data-row]'],
    ['rule', '/rules/new', '.cm-content'],
  ];
  const faults = [];
  for (const [name, path, seen] of pages) {
    if (!path) continue;
    await open(path);
    await page.locator(seen).first().waitFor();
    await settled();
    // Fades must be over before contrast is measured.
    await page.waitForFunction(() =>
      document
        .getAnimations()
        .every((one) => one.playState !== 'running' || one.effect?.getTiming().iterations === Infinity),
    );
    await shot(`${name}-dark`);
    for (const fault of await accessibilityFaults(page)) faults.push(`${name}: ${fault}`);
  }
  await setTheme('Light');
  expect(faults.length === 0, `accessibility:\n${faults.join('\n')}`);
});

if (flags['big-trace']) {
  await step('the big trace opens in time and scrolls without long pauses', async () => {
    const bigPath = `/traces/${flags['big-trace']}`;
    const startedAt = Date.now();
    await open(bigPath);
    await page.getByRole('treeitem').nth(10).waitFor();
    const coldMillis = Date.now() - startedAt;
    console.log(`     big trace open from a cold page: ${coldMillis} ms`);
    await shot('big-trace-light');
    await page.evaluate(() => {
      window.longTasks.length = 0;
    });
    await page.locator('[role="tree"]').hover();
    for (let turn = 0; turn < 40; turn += 1) {
      await page.mouse.wheel(0, 1500);
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    const longest = await page.evaluate(() => Math.max(0, ...window.longTasks));
    console.log(`     longest task while scrolling: ${longest} ms`);
    await accessible();
    expect(
      coldMillis < BIG_TRACE_MILLIS * patience,
      `opening took ${coldMillis} ms, more than ${BIG_TRACE_MILLIS}`,
    );
    expect(longest < SCROLL_TASK_MILLIS * patience, `a task of ${longest} ms while scrolling`);
  });
}

await browser.close();
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);

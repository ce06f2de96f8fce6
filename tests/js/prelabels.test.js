// Prelabels are loaded once, ahead, and compared.
import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { PrelabelLoader } from '../../static/js/annotate/prelabels.js';
import { installBrowser, settle } from './browser.js';

let browser;
const answer = (mistakes) => ({ status: 200, body: { boxes: [], expected_corrections: mistakes } });

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  browser = installBrowser();
});

const createLoader = (...waiting) =>
  new PrelabelLoader(
    (image) => `/${image}`,
    () => waiting,
    () => {},
  );

test('one image is asked for once, however often it is wanted', async () => {
  browser.answers.push(answer(2));
  const loader = createLoader();
  const [one, other] = await Promise.all([loader.load('a'), loader.load('a')]);
  assert.equal(one, other);
  assert.equal(await loader.load('a'), one);
  assert.equal(browser.requests.length, 1);
});

test('waiting images are loaded ahead in their order, and the most useful one is found', async () => {
  browser.answers.push(answer(1), answer(3), answer(2));
  const loader = createLoader('a', 'b', 'c');
  loader.loadAhead();
  loader.loadAhead();
  await settle();
  assert.deepEqual(
    browser.requests.map(({ url }) => url),
    ['/a', '/b', '/c'],
  );
  assert.equal(loader.findMostUseful(['a', 'b', 'c', 'd']), 'b');
  assert.equal(loader.findMostUseful(['a', 'c']), 'c');
  assert.equal(loader.findMostUseful(['d']), undefined);
  assert.equal(loader.countLoaded(['a', 'd']), 1);
});

test('a busy server is asked again after a pause, a refusal is not', async () => {
  browser.answers.push({ status: 503, body: {} }, answer(1), { status: 404, body: {} });
  const loader = createLoader('a', 'b');
  loader.loadAhead();
  await settle();
  assert.equal(browser.requests.length, 1);
  for (let step = 0; step < 3; step += 1) {
    mock.timers.tick(5000);
    await settle();
  }
  assert.deepEqual(
    browser.requests.map(({ url }) => url),
    ['/a', '/a', '/b'],
  );
  assert.ok(loader.loaded.has('a') && loader.failed.has('b') && loader.running === null);
});

test('nothing is loaded ahead while the page is hidden', async () => {
  browser.document.hidden = true;
  createLoader('a').loadAhead();
  await settle();
  assert.equal(browser.requests.length, 0);
  browser.document.hidden = false;
  mock.timers.tick(5000);
  await settle();
  assert.equal(browser.requests.length, 1);
});

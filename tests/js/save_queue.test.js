// Boxes reach the server whatever the network does, and nobody else's boxes are overwritten unasked.
import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { computeFingerprint, SaveQueue } from '../../static/js/annotate/save_queue.js';
import { describeQueue } from '../../static/js/annotate/save_status.js';
import { installBrowser, settle } from './browser.js';

const PREFIX = 'graft boxes 1 2 ';
const box = (label, x0 = 0) => ({ label, x0, y0: 0, x1: x0 + 10, y1: 10, difficult: false });
const ok = (version) => ({ status: 200, body: { version } });
const fail = (status, message = 'No.') => ({ status, body: { message } });
const offline = () => new TypeError('fetch failed');

let browser;
let events;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  events = [];
  browser = installBrowser();
});

function createQueue() {
  const record =
    (name) =>
    (...values) =>
      events.push([name, ...values]);
  return new SaveQueue(PREFIX, (image) => `/images/${image}/boxes`, {
    onState: (state) => {
      events.state = state;
    },
    onSaved: record('saved'),
    onConflict: record('conflict'),
    onRefused: record('refused'),
  });
}

test('boxes are sent with the version that they replace, and forgotten when they are saved', async () => {
  browser.answers.push(ok(4));
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  assert.equal(events.state.waiting, 1);
  assert.ok(browser.storage.has(`${PREFIX}a`));
  await settle();
  assert.deepEqual(browser.requests, [
    { url: '/images/a/boxes', method: 'PUT', body: { version: 3, boxes: [box('cat')], empty: false } },
  ]);
  assert.deepEqual(events.at(-1), ['saved', 'a', { version: 4 }]);
  assert.equal(events.state.waiting, 0);
  assert.equal(browser.storage.size, 0);
});

test('without a connection boxes wait, each attempt twice as long, and are sent when it is back', async () => {
  browser.answers.push(offline(), offline(), ok(1));
  const queue = createQueue();
  queue.add('a', 0, { boxes: [], isEmpty: true });
  await settle();
  assert.deepEqual(events.state, { waiting: 1, trouble: 'offline', isStored: true });
  mock.timers.tick(999);
  await settle();
  assert.equal(browser.requests.length, 1);
  mock.timers.tick(1);
  await settle();
  assert.equal(browser.requests.length, 2);
  mock.timers.tick(1999);
  await settle();
  assert.equal(browser.requests.length, 2);
  browser.window.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(browser.requests.length, 3);
  assert.deepEqual(events.state, { waiting: 0, trouble: '', isStored: true });
});

test('stored boxes are sent after a reload, also those of an older version of the page', async () => {
  const entry = { version: 2, boxes: [box('cat')], nothing: true, tried: ['x'], at: 5, held: true };
  browser = installBrowser({ stored: { [`${PREFIX}a`]: JSON.stringify(entry), other: 'x' } });
  browser.answers.push(ok(3));
  createQueue();
  await settle();
  assert.deepEqual(browser.requests[0].body, { version: 2, boxes: [box('cat')], empty: true });
  assert.deepEqual([...browser.storage.keys()], ['other']);
});

test('a change during the request is sent afterwards, on top of the answered version', async () => {
  let answerFirst;
  browser.answers.push(
    new Promise((resolve) => {
      answerFirst = resolve;
    }),
    ok(5),
  );
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  queue.add('a', 3, { boxes: [box('cat'), box('dog')], isEmpty: false });
  answerFirst(ok(4));
  await settle();
  assert.deepEqual(
    browser.requests.map(({ body }) => [body.version, body.boxes.length]),
    [
      [3, 1],
      [4, 2],
    ],
  );
  assert.equal(queue.get('a'), null);
});

test('a lost answer is recognised as our own and is no conflict', async () => {
  const ours = { version: 4, state: 'boxes', boxes: [box('dog'), box('cat')] };
  browser.answers.push(offline(), fail(409), { status: 200, body: ours }, ok(5));
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat'), box('dog')], isEmpty: false });
  await settle();
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual(
    browser.requests.map(({ method, body }) => [method, body?.version]),
    [
      ['PUT', 3],
      ['PUT', 3],
      ['GET', undefined],
      ['PUT', 4],
    ],
  );
  assert.ok(events.every(([name]) => name !== 'conflict'));
});

test('boxes of somebody else are a conflict that waits for the user', async () => {
  const theirs = { version: 7, state: 'boxes', boxes: [box('bird')] };
  browser.answers.push(fail(409), { status: 200, body: theirs });
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  assert.deepEqual(events, Object.assign([['conflict', 'a', theirs]], { state: events.state }));
  assert.equal(browser.requests.length, 2);
  browser.answers.push(ok(8));
  queue.overwrite('a', 7);
  await settle();
  assert.equal(browser.requests[2].body.version, 7);
  assert.equal(queue.get('a'), null);
});

test('theirs are taken by discarding ours', async () => {
  browser.answers.push(fail(409), { status: 200, body: { version: 7, state: 'empty', boxes: [] } });
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  queue.discard('a');
  await settle();
  assert.equal(browser.requests.length, 2);
  assert.equal(browser.storage.size, 0);
});

test('invalid boxes are discarded, forbidden ones are held, and the message is shown', async () => {
  browser.answers.push(fail(422, 'x1 is too large.'), fail(403, 'You may not edit.'));
  const queue = createQueue();
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  assert.equal(queue.get('a'), null);
  queue.add('b', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  assert.equal(queue.get('b').isHeld, true);
  assert.deepEqual(
    [...events],
    [
      ['refused', 'a', 'x1 is too large.'],
      ['refused', 'b', 'You may not edit.'],
    ],
  );
  assert.equal(browser.requests.length, 2);
});

test('the page warns before it is left when boxes cannot be stored', async () => {
  browser.answers.push(fail(503));
  const queue = createQueue();
  browser.window.localStorage = {
    setItem: () => {
      throw new Error('no room');
    },
    removeItem: () => {},
  };
  queue.add('a', 3, { boxes: [box('cat')], isEmpty: false });
  await settle();
  assert.ok(queue.isAtRisk);
  assert.deepEqual(events.state, { waiting: 1, trouble: 'server', isStored: false });
});

test('a signed-out user is told so', async () => {
  browser.answers.push(fail(401));
  createQueue().add('a', 3, { boxes: [], isEmpty: true });
  await settle();
  assert.equal(events.state.trouble, 'signed out');
});

test('the fingerprint knows no order of boxes', () => {
  const fingerprint = (boxes, isEmpty = false) => computeFingerprint({ boxes, isEmpty });
  assert.equal(fingerprint([box('a'), box('b')]), fingerprint([box('b'), box('a')]));
  assert.notEqual(fingerprint([box('a')]), fingerprint([{ ...box('a'), difficult: true }]));
  assert.notEqual(fingerprint([]), fingerprint([], true));
});

test('the status says what waits and why', () => {
  const describe = (waiting, trouble, isStored = true) => describeQueue({ waiting, trouble, isStored });
  assert.equal(describe(0, ''), 'All saved');
  assert.equal(describe(1, ''), 'Saving …');
  assert.match(describe(1, 'offline'), /^No connection: the boxes of 1 photo are kept in this browser/);
  assert.match(describe(2, 'offline', false), /the boxes of 2 photos are kept only on this page/);
  assert.match(describe(2, 'signed out'), /^You are signed out/);
  assert.match(describe(2, 'server'), /^The server has a problem/);
});

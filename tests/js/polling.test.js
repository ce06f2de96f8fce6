// Polling asks until it is done, reports errors and leaves no listener behind.
import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { poll } from '../../static/js/site/polling.js';
import { installBrowser, settle } from './browser.js';

let page;
let listeners;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  page = installBrowser().document;
  listeners = new Set();
  const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype;
  page.addEventListener = (name, listener) => {
    listeners.add(listener);
    add.call(page, name, listener);
  };
  page.removeEventListener = (name, listener) => {
    listeners.delete(listener);
    remove.call(page, name, listener);
  };
});

const show = (isHidden) => {
  page.hidden = isHidden;
  page.dispatchEvent(new Event('visibilitychange'));
};

test('it asks every second while the page is visible, every ten while it is hidden', async () => {
  let calls = 0;
  poll(() => {
    calls += 1;
    return false;
  });
  await settle();
  assert.equal(calls, 1);
  mock.timers.tick(1000);
  await settle();
  assert.equal(calls, 2);
  page.hidden = true;
  mock.timers.tick(1000);
  await settle();
  assert.equal(calls, 3);
  mock.timers.tick(9999);
  await settle();
  assert.equal(calls, 3);
  mock.timers.tick(1);
  await settle();
  assert.equal(calls, 4);
});

test('it asks at once when the page is shown again, and not twice', async () => {
  let calls = 0;
  poll(() => {
    calls += 1;
    return false;
  });
  await settle();
  show(true);
  await settle();
  assert.equal(calls, 1);
  show(false);
  await settle();
  assert.equal(calls, 2);
  mock.timers.tick(1000);
  await settle();
  assert.equal(calls, 3);
});

test('an error is reported and it asks again, also after the page was shown', async () => {
  const errors = [];
  const answers = [new Error('away'), new Error('away again'), true];
  const ask = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  poll(ask, { onError: (error) => errors.push(error.message) });
  await settle();
  show(false);
  await settle();
  assert.deepEqual(errors, ['away', 'away again']);
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual(answers, []);
});

test('when it is done neither a timer nor a listener is left', async () => {
  let calls = 0;
  poll(async () => {
    calls += 1;
    return calls === 2;
  });
  await settle();
  assert.equal(listeners.size, 1);
  mock.timers.tick(1000);
  await settle();
  assert.equal(listeners.size, 0);
  show(false);
  mock.timers.tick(60_000);
  await settle();
  assert.equal(calls, 2);
});

test('a slow answer is awaited, not asked for a second time', async () => {
  let calls = 0;
  let answer;
  poll(() => {
    calls += 1;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  mock.timers.tick(5000);
  show(false);
  await settle();
  assert.equal(calls, 1);
  answer(true);
  await settle();
  assert.equal(listeners.size, 0);
});

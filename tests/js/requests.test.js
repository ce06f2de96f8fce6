// Answers of the server become values or errors with a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getJson, parseAnswer, postJson, putJson, RequestError } from '../../static/js/site/requests.js';
import { installBrowser } from './browser.js';

const fails = (status, message) => (error) =>
  error instanceof RequestError && error.status === status && message.test(error.message);

test('an answer is parsed, and an empty one is an empty record', () => {
  assert.deepEqual(parseAnswer(200, '{"a": 1}'), { a: 1 });
  assert.deepEqual(parseAnswer(204, ''), {});
});

test('a failure carries the server’s message, its status and its body', () => {
  const body = { code: 'invalid', message: 'The name is taken.', field: 'name' };
  assert.throws(
    () => parseAnswer(422, JSON.stringify(body)),
    (error) => fails(422, /^The name is taken\.$/)(error) && error.answer.field === 'name',
  );
  assert.throws(() => parseAnswer(400, '{}'), fails(400, /refused the request/));
  assert.throws(() => parseAnswer(400, 'null'), fails(400, /refused the request/));
});

test('a signed-out user is told what to do', () => {
  assert.throws(() => parseAnswer(401, '{"message": "x"}'), fails(401, /Sign in again in another tab/));
});

test('what is no JSON is a failure even with the status of a success', () => {
  assert.throws(() => parseAnswer(200, '<html>'), fails(500, /unexpected answer \(status 200\)/));
  assert.throws(() => parseAnswer(502, '<html>'), fails(502, /unexpected answer/));
});

test('only a missing answer or a busy server is temporary', () => {
  const temporary = [0, 429, 502, 503, 504];
  for (const status of [...temporary, 400, 401, 403, 404, 409, 413, 422, 500]) {
    assert.equal(new RequestError('x', status).isTemporary, temporary.includes(status), String(status));
  }
});

test('a lost connection is an error without a status', async () => {
  installBrowser().answers.push(new TypeError('fetch failed'));
  await assert.rejects(getJson('/x'), fails(0, /cannot be reached/));
});

test('values are sent as JSON with the CSRF token', async () => {
  const browser = installBrowser();
  const headers = [];
  const { fetch } = globalThis;
  globalThis.fetch = (url, options) => {
    headers.push(options.headers['X-CSRFToken']);
    return fetch(url, options);
  };
  await postJson('/x', { a: 1 });
  await putJson('/x', { a: 2 });
  assert.deepEqual(
    browser.requests.map(({ method, body }) => [method, body.a]),
    [
      ['POST', 1],
      ['PUT', 2],
    ],
  );
  assert.deepEqual(headers, ['token', 'token']);
});

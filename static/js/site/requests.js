// Requests to our own server: the CSRF token, JSON, and refusals as one kind of error.

export class Refusal extends Error {
  constructor(message, status = 0, answer = {}) {
    super(message);
    this.status = status;
    this.answer = answer;
  }

  // No answer at all, or one that says: not now.
  get temporary() {
    return (
      this.status === 0 ||
      this.status === 429 ||
      this.status === 502 ||
      this.status === 503 ||
      this.status === 504
    );
  }
}

export function csrfToken() {
  return (
    document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ??
    document.querySelector('[name=csrfmiddlewaretoken]')?.value ??
    ''
  );
}

export async function getJson(url, { signal } = {}) {
  return read(await reach(url, { headers: { Accept: 'application/json' }, signal }));
}

export async function postJson(url, values) {
  return sendJson('POST', url, values);
}

export async function putJson(url, values) {
  return sendJson('PUT', url, values);
}

async function sendJson(method, url, values) {
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    'X-CSRFToken': csrfToken(),
  };
  return read(await reach(url, { method, headers, body: JSON.stringify(values) }));
}

export async function postForm(url, form, { signal } = {}) {
  const headers = { Accept: 'application/json', 'X-CSRFToken': csrfToken() };
  return read(await reach(url, { method: 'POST', headers, body: form, signal }));
}

// With XMLHttpRequest, because fetch does not tell how much has been sent.
export function sendForm(url, form, { onSent = () => {}, onAllSent = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    request.setRequestHeader('X-CSRFToken', csrfToken());
    request.setRequestHeader('Accept', 'application/json');
    request.upload.addEventListener('progress', (event) => onSent(event.loaded, event.total));
    request.upload.addEventListener('load', onAllSent);
    request.addEventListener('load', () => {
      try {
        resolve(parse(request.status, request.responseText));
      } catch (refusal) {
        reject(refusal);
      }
    });
    request.addEventListener('error', () => reject(new Refusal('The connection was lost.')));
    request.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')));
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

async function reach(url, options) {
  try {
    return await fetch(url, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal('The server cannot be reached.');
  }
}

async function read(response) {
  return parse(response.status, await response.text());
}

function parse(status, text) {
  if (status === 204) return {};
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Refusal(`The server answered something unexpected (${status}).`, status < 400 ? 500 : status);
  }
  if (status === 401)
    throw new Refusal('You are signed out: sign in again in another tab, then go on here.', status, answer);
  if (status >= 400) throw new Refusal(answer.message ?? `The server refused (${status}).`, status, answer);
  return answer;
}

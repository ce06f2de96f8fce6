// Requests to our own server: the CSRF token, JSON, and failures as one kind of error.

export class RequestError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] 0 when there was no answer
   * @param {any} [answer] the body of the answer
   */
  constructor(message, status = 0, answer = {}) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.answer = answer;
  }

  /** Whether the same request may succeed later: there was no answer, or the server is busy. */
  get isTemporary() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

function readCsrfToken() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  /** @type {HTMLInputElement | null} */
  const field = document.querySelector('[name=csrfmiddlewaretoken]');
  return cookie ?? field?.value ?? '';
}

/** @param {string} url */
export async function getJson(url) {
  return request(url, { headers: { Accept: 'application/json' } });
}

/**
 * @param {string} url
 * @param {object} values
 */
export async function postJson(url, values) {
  return sendJson('POST', url, values);
}

/**
 * @param {string} url
 * @param {object} values
 */
export async function putJson(url, values) {
  return sendJson('PUT', url, values);
}

/**
 * @param {'POST' | 'PUT'} method
 * @param {string} url
 * @param {object} values
 */
async function sendJson(method, url, values) {
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    'X-CSRFToken': readCsrfToken(),
  };
  return request(url, { method, headers, body: JSON.stringify(values) });
}

/**
 * @param {string} url
 * @param {FormData} form
 */
export async function postForm(url, form) {
  const headers = { Accept: 'application/json', 'X-CSRFToken': readCsrfToken() };
  return request(url, { method: 'POST', headers, body: form });
}

/**
 * Send a form and report its progress, by XMLHttpRequest because fetch does not tell how much was sent.
 * @param {string} url
 * @param {FormData} form
 * @param {{ onProgress?: (bytes: number) => void, onSent?: () => void, signal?: AbortSignal }} [options]
 * @returns {Promise<any>}
 */
export function uploadForm(url, form, { onProgress = () => {}, onSent = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open('POST', url);
    xhr.setRequestHeader('X-CSRFToken', readCsrfToken());
    xhr.setRequestHeader('Accept', 'application/json');
    xhr.upload.addEventListener('progress', (event) => onProgress(event.loaded));
    xhr.upload.addEventListener('load', onSent);
    xhr.addEventListener('load', () => {
      try {
        resolve(parseAnswer(xhr.status, xhr.responseText));
      } catch (error) {
        reject(error);
      }
    });
    xhr.addEventListener('error', () => reject(new RequestError('The connection was lost.')));
    xhr.addEventListener('abort', () => reject(new DOMException('The upload was stopped.', 'AbortError')));
    signal?.addEventListener('abort', () => xhr.abort());
    xhr.send(form);
  });
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<any>}
 */
async function request(url, options) {
  let response;
  let text;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...options });
    text = await response.text();
  } catch {
    throw new RequestError('The server cannot be reached.');
  }
  return parseAnswer(response.status, text);
}

/**
 * Return the JSON of an answer; throw a RequestError with the server's message when it is a failure.
 * @param {number} status
 * @param {string} text
 */
export function parseAnswer(status, text) {
  if (status === 204) return {};
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    const message = `The server sent an unexpected answer (status ${status}).`;
    throw new RequestError(message, status < 400 ? 500 : status);
  }
  if (status === 401) {
    const message = 'You are signed out. Sign in again in another tab, then continue here.';
    throw new RequestError(message, status, answer);
  }
  if (status >= 400) {
    const message = answer?.message ?? `The server refused the request (status ${status}).`;
    throw new RequestError(message, status, answer);
  }
  return answer;
}

/**
 * The words of whatever was thrown.
 * @param {unknown} error
 */
export function getMessage(error) {
  return error instanceof Error ? error.message : String(error);
}

// A background job on a page of the administration. At its end the page is loaded again and shows the result.
import { query, queryOptional, setProgress } from '../site/dom.js';
import { poll } from '../site/polling.js';

const INTERVAL = 1500; // ms

const panel = queryOptional(document, '[data-follow]');
if (panel) poll(() => update(panel), { visible: INTERVAL, hidden: INTERVAL });

/** @param {HTMLElement} panel */
async function update(panel) {
  // An error, which poll meets by asking again, is a server that restarts.
  const answer = await fetch(panel.dataset.follow ?? '', { headers: { Accept: 'application/json' } });
  if (answer.status >= 500) return false;
  if (answer.redirected || !answer.ok) {
    window.location.reload(); // signed out meanwhile, or discarded in another window
    return true;
  }
  const { finished, fraction, message, shown, stopping } = await answer.json();
  setProgress(query(panel, 'progress', HTMLProgressElement), fraction);
  query(panel, '[data-state]').textContent = stopping ? 'Cancelling' : shown;
  query(panel, '[data-message]').textContent = message;
  if (finished) window.location.reload();
  return Boolean(finished);
}

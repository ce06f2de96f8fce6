// Messages at the edge of the page, with buttons for what can be done about them.
import { cloneTemplate, query } from './dom.js';

const DURATION = 8000; // ms; long enough to reach "Undo" by keyboard

/**
 * @typedef {object} ToastAction
 * @property {string} name words on the button
 * @property {() => unknown} run
 */

/**
 * Show a message. It goes by itself, unless it asks to choose between actions.
 * @param {string} message
 * @param {{ isError?: boolean, actions?: ToastAction[] }} [options]
 */
export function showToast(message, { isError = false, actions = [] } = {}) {
  const toast = cloneTemplate(document, '#toast');
  toast.classList.toggle('bad', isError);
  query(toast, 'span').textContent = message;
  const timer = actions.length > 1 ? 0 : setTimeout(() => toast.remove(), DURATION);
  const sample = query(toast, 'button');
  for (const { name, run } of actions) {
    const button = /** @type {HTMLButtonElement} */ (sample.cloneNode());
    button.hidden = false;
    button.textContent = name;
    button.addEventListener('click', () => {
      clearTimeout(timer);
      toast.remove();
      run();
    });
    toast.append(button);
  }
  sample.remove();
  query(document, '#toasts').append(toast);
}

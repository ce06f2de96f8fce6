// On every page: questions before what cannot be undone, copying, and menus that close.
import { closest, query, queryAll, queryOptional } from '../site/dom.js';
import { showToast } from '../site/toast.js';

document.addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const { confirm: question, ask, value } = form.dataset;
  if (question && !window.confirm(question)) event.preventDefault();
  if (!ask) return;
  const answer = window.prompt(ask, value ?? '')?.trim();
  if (answer) query(form, '[name=name]', HTMLInputElement).value = answer;
  else event.preventDefault();
});

document.addEventListener('click', (event) => {
  const button = closest(event, '[data-copy]');
  if (button) copyText(query(document, button.dataset.copy ?? '').textContent ?? '');
  for (const menu of queryAll(document, '.menu[open]', HTMLDetailsElement)) {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
  }
});

document.addEventListener('keydown', (event) => {
  const menu = queryOptional(document, '.menu[open]', HTMLDetailsElement);
  if (event.key !== 'Escape' || !menu) return;
  menu.open = false;
  query(menu, 'summary').focus();
});

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text.trim());
    showToast('Copied.');
  } catch {
    showToast('This browser does not allow copying here. Select the text instead.', { isError: true });
  }
}

// One image large: its class, its neighbours by the arrow keys, and its deletion.
import { activateButton, closest, query, queryOptional } from '../site/dom.js';
import { getMessage, postJson } from '../site/requests.js';
import { showToast } from '../site/toast.js';

const side = query(document, '#side');
const { image = '', move = '', delete: deleteUrl = '', back = '' } = side.dataset;
const ids = [image];

const select = queryOptional(document, '#class-of', HTMLSelectElement);
select?.addEventListener('change', () => report(() => setLabel(select.selectedOptions[0])));
const deleteButton = queryOptional(document, '#delete', HTMLButtonElement);
if (deleteButton) activateButton(deleteButton, () => report(deleteImage));

document.addEventListener('keydown', (event) => {
  if (closest(event, 'input, select, textarea')) return;
  if (event.key === 'ArrowLeft') queryOptional(document, '#newer')?.click();
  if (event.key === 'ArrowRight') queryOptional(document, '#older')?.click();
});

/**
 * Run an action and show its error.
 * @param {() => Promise<void>} action
 */
async function report(action) {
  try {
    await action();
  } catch (error) {
    showToast(getMessage(error), { isError: true });
  }
}

/** @param {HTMLOptionElement} option */
async function setLabel(option) {
  const label = option.dataset.none === undefined ? option.value : null;
  await postJson(move, { ids, label });
  showToast(label === null ? 'This photo has no class now.' : `This photo is in the class ${label} now.`);
}

async function deleteImage() {
  await postJson(deleteUrl, { ids });
  const next =
    queryOptional(document, '#older', HTMLAnchorElement) ??
    queryOptional(document, '#newer', HTMLAnchorElement);
  location.assign(next ? next.href : back);
}

// The near-duplicates of a report: one photo of a pair is deleted, and restored while the message is there.
import { activateButton, query, queryAll } from '../site/dom.js';
import { getMessage, postJson } from '../site/requests.js';
import { showToast } from '../site/toast.js';

/**
 * Let the buttons of the section delete their photos. A photo that is in two pairs is marked in both.
 * @param {HTMLElement} section
 */
export function offerDeletion(section) {
  const buttons = queryAll(section, 'button[data-image]', HTMLButtonElement);
  for (const button of buttons)
    activateButton(button, () => deletePhoto(section, button.dataset.image ?? ''));
}

/**
 * @param {HTMLElement} section
 * @param {string} id
 */
async function deletePhoto(section, id) {
  const values = { ids: [id] };
  const restore = () => change(section, section.dataset.restore, values, false);
  if (await change(section, section.dataset.delete, values, true)) {
    showToast('The photo was moved to the trash.', { actions: [{ name: 'Undo', run: restore }] });
  }
}

/**
 * @param {HTMLElement} section
 * @param {string | undefined} url
 * @param {{ ids: string[] }} values
 * @param {boolean} isGone whether the photo is in the trash then
 * @returns {Promise<boolean>} whether the server did it
 */
async function change(section, url, values, isGone) {
  try {
    await postJson(url ?? '', values);
  } catch (error) {
    showToast(getMessage(error), { isError: true });
    return false;
  }
  markPhoto(section, values.ids[0] ?? '', isGone);
  return true;
}

/**
 * Of each pair that shows the photo: fade it, and take away the buttons, because one of the two must stay.
 * @param {HTMLElement} section
 * @param {string} id
 * @param {boolean} isGone
 */
function markPhoto(section, id, isGone) {
  for (const pair of queryAll(section, '.pairs > li')) {
    const buttons = queryAll(pair, 'button[data-image]', HTMLButtonElement);
    const own = buttons.find((button) => button.dataset.image === id);
    if (!own) continue;
    query(pair, `.photo:has([data-image="${id}"])`).classList.toggle('gone', isGone);
    for (const button of buttons) button.hidden = isGone;
  }
}

// All images of a class: choose many, move them, delete them, undo.
import { activateButton, closest, fetchPage, query, queryAll, queryOptional } from '../site/dom.js';
import { getMessage, postJson } from '../site/requests.js';
import { showToast } from '../site/toast.js';

const gallery = query(document, '#gallery');
const toolbar = queryOptional(document, '#toolbar');
const target = queryOptional(document, '#target', HTMLSelectElement);
/** @type {number | null} */
let anchor = null; // where a range chosen with Shift begins

if (toolbar) activateToolbar(toolbar);

/** @param {HTMLElement} toolbar */
function activateToolbar(toolbar) {
  gallery.addEventListener('click', (event) => {
    const box = closest(event, '.pick input', HTMLInputElement);
    if (box) chooseRange(box, event.shiftKey);
    showSelection(toolbar);
  });
  const chooseAll = (/** @type {boolean} */ isChosen) => {
    for (const tile of listTiles()) getCheckbox(tile).checked = isChosen;
    showSelection(toolbar);
  };
  activateButton(query(document, '#choose-all', HTMLButtonElement), () => chooseAll(true));
  query(document, '#choose-none').addEventListener('click', () => chooseAll(false));
  query(document, '#delete').addEventListener('click', () => applyToChosen(toolbar, deleteImages));
  target?.addEventListener('change', () => applyToChosen(toolbar, moveImages));
  showSelection(toolbar);
}

function listTiles() {
  return queryAll(gallery, 'li:not([hidden])');
}

/** @param {HTMLElement} tile */
function getCheckbox(tile) {
  return query(tile, 'input', HTMLInputElement);
}

function listChosen() {
  return listTiles().filter((tile) => getCheckbox(tile).checked);
}

/**
 * With Shift, give all tiles since the last click the state of this one.
 * @param {HTMLInputElement} box
 * @param {boolean} isRange
 */
function chooseRange(box, isRange) {
  const tiles = listTiles();
  const index = tiles.findIndex((tile) => tile.contains(box));
  if (isRange && anchor !== null) {
    const range = tiles.slice(Math.min(anchor, index), Math.max(anchor, index) + 1);
    for (const tile of range) getCheckbox(tile).checked = box.checked;
  }
  anchor = index;
}

/** @param {HTMLElement} toolbar */
function showSelection(toolbar) {
  const count = listChosen().length;
  for (const tile of listTiles()) tile.classList.toggle('chosen', getCheckbox(tile).checked);
  query(toolbar, '.chosen').textContent = count ? `${count} selected` : 'None selected';
  query(document, '#delete', HTMLButtonElement).disabled = !count;
  if (target) target.disabled = !count; // in a project of boxes, boxes have classes and images do not
  query(document, '#choose-none').hidden = !count;
}

/**
 * @param {HTMLElement} toolbar
 * @param {(tiles: HTMLElement[], urls: DOMStringMap) => Promise<void>} action
 */
async function applyToChosen(toolbar, action) {
  const tiles = listChosen();
  if (!tiles.length) return;
  try {
    await action(tiles, toolbar.dataset);
  } catch (error) {
    showToast(getMessage(error), { isError: true });
  }
  if (target) target.selectedIndex = 0;
  showSelection(toolbar);
}

/**
 * @param {HTMLElement[]} tiles
 * @param {DOMStringMap} urls
 */
async function moveImages(tiles, urls) {
  const option = /** @type {HTMLOptionElement} */ (target?.selectedOptions[0]);
  const isNew = option.dataset.new !== undefined;
  const chosen = option.dataset.none === undefined ? option.value : null;
  const label = isNew ? (window.prompt('Name of the new class')?.trim() ?? '') : chosen;
  if (label === '') return;
  const { previous_labels } = await postJson(urls.move ?? '', { ids: listIds(tiles), label });
  if (isNew) option.before(new Option(label ?? '', label ?? ''));
  hideTiles(tiles);
  offerUndo(`${countPhotos(tiles.length)} moved to ${label ?? 'no class'}.`, tiles, urls.restoreLabels, {
    previous_labels,
  });
}

/**
 * @param {HTMLElement[]} tiles
 * @param {DOMStringMap} urls
 */
async function deleteImages(tiles, urls) {
  const ids = listIds(tiles);
  await postJson(urls.delete ?? '', { ids });
  hideTiles(tiles);
  offerUndo(`${countPhotos(tiles.length)} deleted.`, tiles, urls.restore, { ids });
}

/**
 * @param {string} message
 * @param {HTMLElement[]} tiles to show again
 * @param {string | undefined} url that undoes it
 * @param {object} values
 */
function offerUndo(message, tiles, url, values) {
  const undo = async () => {
    try {
      await postJson(url ?? '', values);
      for (const tile of tiles) tile.hidden = false;
      changeCount(tiles.length);
    } catch (error) {
      showToast(getMessage(error), { isError: true });
    }
    if (toolbar) showSelection(toolbar);
  };
  showToast(message, { actions: [{ name: 'Undo', run: undo }] });
}

/** @param {HTMLElement[]} tiles */
function hideTiles(tiles) {
  for (const tile of tiles) {
    tile.hidden = true;
    getCheckbox(tile).checked = false;
  }
  changeCount(-tiles.length);
  anchor = null;
}

/** @param {number} difference */
function changeCount(difference) {
  const count = query(document, '#count');
  count.textContent = String(Number(count.textContent) + difference);
}

/** @param {HTMLElement[]} tiles */
function listIds(tiles) {
  return tiles.map((tile) => tile.dataset.image);
}

/** @param {number} count */
function countPhotos(count) {
  return `${count} photo${count === 1 ? '' : 's'}`;
}

// The next page is fetched when its link comes near.
const observer = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) appendNextPage();
  },
  { rootMargin: '600px' },
);
const firstLink = queryOptional(document, '#more');
if (firstLink) observer.observe(firstLink);

async function appendNextPage() {
  const more = query(document, '#more');
  observer.unobserve(more);
  const page = await fetchPage(query(more, 'a', HTMLAnchorElement).href);
  if (!page) return;
  // Moved images shift the pages, so known ones may come again.
  const known = new Set(queryAll(gallery, 'li').map((tile) => tile.dataset.image));
  for (const tile of queryAll(page, '#gallery > li')) {
    if (!known.has(tile.dataset.image)) gallery.append(document.adoptNode(tile));
  }
  const next = page.getElementById('more');
  if (next) {
    more.replaceWith(document.adoptNode(next));
    observer.observe(next);
  } else more.remove();
}

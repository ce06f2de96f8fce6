// What buttons and keys of the annotation page do.
import { fillUrl } from '../site/dom.js';
import { getJson, getMessage, postJson } from '../site/requests.js';
import { showToast } from '../site/toast.js';
import { acceptPrelabels, addBoxes } from './annotations.js';
import { copyFittingBoxes, isPrelabel, placeCentralBox } from './boxes.js';

/**
 * @typedef {import('./editor.js').BoxEditor} BoxEditor
 *
 * @typedef {'previous' | 'next' | 'nextUnlabelled' | 'undo' | 'redo' | 'removeSelected' | 'acceptAll' | 'acceptSelected'
 *   | 'rejectAll' | 'toggleEmpty' | 'copyPrevious' | 'deleteImage' | 'addBox' | 'toggleDifficult' | 'zoomIn' | 'zoomOut'
 *   | 'showWhole' | 'togglePanning' | 'toggleHelp'} Action
 */

const ZOOM_STEP = 1.4;

/** @type {Record<Action, (editor: BoxEditor) => unknown>} */
const ACTIONS = {
  previous: (editor) => editor.open(editor.images.position - 1),
  next: (editor) => editor.open(editor.images.position + 1),
  nextUnlabelled: openNextUnlabelled,
  undo: (editor) => editor.replace(editor.currentHistory?.undo(editor.annotations)),
  redo: (editor) => editor.replace(editor.currentHistory?.redo(editor.annotations)),
  removeSelected: (editor) => editor.selectedBox && editor.remove(editor.selectedBox.id),
  acceptAll: (editor) => editor.change(acceptPrelabels(editor.annotations, null)),
  acceptSelected: (editor) => editor.change(acceptPrelabels(editor.annotations, editor.selected ?? '')),
  rejectAll,
  toggleEmpty,
  copyPrevious,
  deleteImage,
  addBox: (editor) => editor.draw(placeCentralBox(editor.size)),
  toggleDifficult,
  zoomIn: (editor) => editor.canvas.viewport.zoomBy(ZOOM_STEP),
  zoomOut: (editor) => editor.canvas.viewport.zoomBy(1 / ZOOM_STEP),
  showWhole: (editor) => editor.canvas.viewport.showWhole(),
  togglePanning: (editor) => editor.canvas.setPanning(editor.toolbar.togglePanning()),
  toggleHelp: (editor) => editor.toolbar.toggleHelp(),
};

/** Actions that change nothing, for viewers too. @type {Set<Action>} */
const READING_ACTIONS = new Set([
  'previous',
  'next',
  'nextUnlabelled',
  'zoomIn',
  'zoomOut',
  'showWhole',
  'togglePanning',
  'toggleHelp',
]);

/**
 * Run an action; false when it means nothing here, or not to this user.
 * @param {BoxEditor} editor
 * @param {Action} action
 */
export function runAction(editor, action) {
  if (!editor.mayEdit && !READING_ACTIONS.has(action)) return false;
  const { selectedBox } = editor;
  if (action === 'acceptSelected' && selectedBox && !isPrelabel(selectedBox)) return false;
  ACTIONS[action](editor);
  return true;
}

/** @param {BoxEditor} editor */
function openNextUnlabelled(editor) {
  const { images, prelabels } = editor;
  const next = images.findNextUnlabelled((ids) => prelabels?.findMostUseful(ids));
  if (next) editor.open(images.findPosition(next));
  else if (images.current.state === 'unlabelled') showToast('This is the last unlabelled photo.');
  else showToast('Every photo is labelled.');
}

/** @param {BoxEditor} editor */
function rejectAll(editor) {
  const { annotations } = editor;
  if (annotations.prelabels.length) editor.change({ ...annotations, prelabels: [] });
}

/** @param {BoxEditor} editor */
function toggleDifficult(editor) {
  const box = editor.selectedBox;
  if (box) editor.edit(box.id, { difficult: !box.difficult });
}

/** @param {BoxEditor} editor */
function toggleEmpty(editor) {
  const { boxes, isEmpty } = editor.annotations;
  const question = 'Remove the boxes and mark this photo as showing no class?';
  if (boxes.length && !window.confirm(question)) return;
  editor.change({ boxes: [], isEmpty: !isEmpty || boxes.length > 0, prelabels: [] });
}

/** @param {BoxEditor} editor */
async function copyPrevious(editor) {
  const previous = editor.images.images[editor.images.position - 1];
  if (!previous) return;
  try {
    /** @type {{ boxes: import('./boxes.js').StoredBox[] }} */
    const source = editor.queue.get(previous.id) ?? (await getJson(fillUrl(editor.urls.boxes, previous.id)));
    const copied = copyFittingBoxes(source.boxes, editor.annotations.boxes, editor.size);
    if (copied.length) editor.change(addBoxes(editor.annotations, copied));
    else showToast('The previous photo has no other boxes.');
  } catch (error) {
    showToast(getMessage(error), { isError: true });
  }
}

/**
 * Delete the open image and go on to the next one.
 * @param {BoxEditor} editor
 */
async function deleteImage(editor) {
  const { images, urls } = editor;
  const { current: image, position } = images;
  const values = { ids: [image.id] };
  const restore = async () => {
    try {
      await postJson(urls.restore ?? '', values);
      images.insert(position, image);
      editor.open(position);
    } catch (error) {
      showToast(getMessage(error), { isError: true });
    }
  };
  try {
    await postJson(urls.delete ?? '', values);
  } catch (error) {
    showToast(getMessage(error), { isError: true });
    return;
  }
  editor.queue.discard(image.id);
  images.remove(position);
  showToast('The photo was moved to the trash.', { actions: [{ name: 'Undo', run: restore }] });
  const { length } = images.images;
  if (length) editor.open(Math.min(position, length - 1));
  else location.assign(urls.home ?? '');
}

// Annotation: boxes are drawn on one image after the other and saved at once.
import { runAction } from '../annotate/actions.js';
import { BoxEditor } from '../annotate/editor.js';
import { activateShortcuts } from '../annotate/shortcuts.js';
import { closest, query, readJson } from '../site/dom.js';

const page = query(document, '#label');
const editor = new BoxEditor(page, readJson('images'), readJson('labels'));

page.addEventListener('click', (event) => {
  const action = closest(event, '[data-action]')?.dataset.action;
  if (action) runAction(editor, /** @type {import('../annotate/actions.js').Action} */ (action));
});
query(document, '#keys').addEventListener('click', (event) => {
  if (closest(event, 'button')) query(document, '#keys', HTMLDialogElement).close();
});
activateShortcuts(editor);
window.addEventListener('popstate', () => {
  const id = editor.images.images.find((image) => location.pathname.includes(image.id))?.id ?? '';
  editor.open(Math.max(0, editor.images.findPosition(id)), { isNewPage: false });
});
window.addEventListener('beforeunload', (event) => {
  if (editor.queue.isAtRisk) event.preventDefault();
});
editor.open(editor.images.position, { isNewPage: false });

// The heading and the buttons of the annotation page.
import { query, queryOptional, setText } from '../site/dom.js';

/** @typedef {import('./annotations.js').Annotations} Annotations */

export class Toolbar {
  /** @param {HTMLElement} page */
  constructor(page) {
    this.page = page;
  }

  /**
   * @param {import('./image_list.js').ImageList} images
   * @param {{ name: string }} record of the open image
   * @param {Annotations} annotations
   * @param {import('./history.js').History<Annotations> | undefined} states
   */
  show(images, { name }, { boxes, isEmpty }, states) {
    const { length } = images.images;
    const { state } = images.current;
    setText(query(this.page, '#place'), `${images.position + 1} of ${length}`);
    setText(query(this.page, '#name'), name.split('/').pop() ?? name);
    setText(query(this.page, '#done'), `${images.countDone} of ${length} done`);
    const badge = query(this.page, '#state');
    badge.dataset.state = state;
    const count = `${boxes.length} box${boxes.length === 1 ? '' : 'es'}`;
    setText(badge, { unlabelled: 'Unlabelled', boxes: count, empty: 'Nothing here' }[state]);
    this.findButton('toggleEmpty')?.setAttribute('aria-pressed', String(isEmpty));
    this.enable('undo', Boolean(states?.canUndo));
    this.enable('redo', Boolean(states?.canRedo));
    this.enable('previous', images.position > 0);
    this.enable('next', images.position < length - 1);
    this.enable('copyPrevious', images.position > 0);
  }

  /**
   * @param {string} sentence
   * @param {string} trouble
   */
  showQueue(sentence, trouble) {
    const line = query(document, '#saved');
    line.dataset.trouble = trouble;
    line.textContent = sentence;
  }

  /** @param {import('./actions.js').Action} action */
  findButton(action) {
    return queryOptional(this.page, `[data-action=${action}]`, HTMLButtonElement);
  }

  /**
   * @param {import('./actions.js').Action} action
   * @param {boolean} isEnabled
   */
  enable(action, isEnabled) {
    const button = this.findButton(action);
    if (button) button.disabled = !isEnabled;
  }

  /** Switch the button "Move"; returns whether it is pressed now. */
  togglePanning() {
    const button = this.findButton('togglePanning');
    const isPressed = button?.getAttribute('aria-pressed') !== 'true';
    button?.setAttribute('aria-pressed', String(isPressed));
    return isPressed;
  }

  toggleHelp() {
    const dialog = query(document, '#keys', HTMLDialogElement);
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }
}

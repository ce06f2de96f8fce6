// Beside the image: the classes with their digits, and the boxes, each with its exact numbers.
import { cloneTemplate, closest, query, queryOptional } from '../site/dom.js';
import { COLOURS } from './box_shapes.js';
import { isPrelabel } from './boxes.js';

const SIDES = /** @type {const} */ (['x0', 'y0', 'x1', 'y1']);

/**
 * @typedef {import('./boxes.js').Corners} Corners
 * @typedef {import('./boxes.js').Size} Size
 * @typedef {import('./box_shapes.js').ColouredBox} ColouredBox
 *
 * @typedef {object} PanelHandlers
 * @property {(label: string) => void} onLabel
 * @property {() => void} onNewLabel
 * @property {(id: string) => void} onSelected
 * @property {(id: string, corners: Corners) => void} onCorners
 * @property {(id: string, isDifficult: boolean) => void} onDifficult
 * @property {(id: string) => void} onRemove
 * @property {(id: string) => void} onAccept
 *
 * @typedef {object} PanelState
 * @property {ColouredBox[]} boxes
 * @property {string | null} selected
 * @property {string | null} label of the next box
 * @property {string[]} labels
 * @property {Size} size of the image
 */

export class BoxPanel {
  /**
   * @param {HTMLElement} panel
   * @param {boolean} mayEdit
   * @param {PanelHandlers} handlers
   */
  constructor(panel, mayEdit, handlers) {
    this.panel = panel;
    this.mayEdit = mayEdit;
    this.handlers = handlers;
    /** @type {ColouredBox | null} */
    this.box = null; // the selected one
    /** @type {Size} */
    this.size = { width: 0, height: 0 };
    this.classes = query(panel, '.label-list');
    this.list = query(panel, '.boxes');
    this.details = query(panel, '.details');
    this.classes.addEventListener('click', (event) => this.chooseLabel(event));
    this.list.addEventListener('click', (event) => this.chooseBox(event));
    this.details.addEventListener('change', (event) => this.changeDetail(event));
    this.details.addEventListener('click', (event) => {
      if (!this.box) return;
      if (closest(event, '.remove')) handlers.onRemove(this.box.id);
      if (closest(event, '.accept')) handlers.onAccept(this.box.id);
    });
    queryOptional(panel, '.new-class')?.addEventListener('click', () => handlers.onNewLabel());
  }

  /** @param {PanelState} state */
  show({ boxes, selected, label, labels, size }) {
    const box = boxes.find(({ id }) => id === selected) ?? null;
    this.box = box;
    this.size = size;
    const active = box?.label ?? label;
    const createLine = (/** @type {string} */ name, /** @type {number} */ index) =>
      this.createLabelLine(name, index, name === active, boxes);
    this.classes.replaceChildren(...labels.map(createLine));
    const hadFocus = this.list.contains(document.activeElement);
    this.list.replaceChildren(...boxes.map((one) => createBoxLine(one, one.id === selected)));
    const chosen = queryOptional(this.list, '[aria-pressed=true]') ?? queryOptional(this.list, 'button');
    if (hadFocus) chosen?.focus();
    query(this.panel, '.no-boxes').hidden = boxes.length > 0;
    query(this.panel, '.no-class').hidden = labels.length > 0;
    query(this.panel, '.prelabels').hidden = !boxes.some(isPrelabel);
    this.details.hidden = !box;
    if (box) this.showDetails(box);
  }

  /**
   * @param {string} name
   * @param {number} index
   * @param {boolean} isActive
   * @param {ColouredBox[]} boxes
   */
  createLabelLine(name, index, isActive, boxes) {
    const line = cloneTemplate(document, '#class-line');
    const button = query(line, 'button', HTMLButtonElement);
    button.dataset.label = name;
    button.disabled = !this.mayEdit;
    button.setAttribute('aria-pressed', String(isActive));
    query(line, '.swatch').classList.add(`c${index % COLOURS}`);
    query(line, '.name').textContent = name;
    const digit = query(line, 'kbd');
    digit.textContent = String(index + 1);
    digit.hidden = index >= 9;
    const count = boxes.filter((box) => box.label === name && !isPrelabel(box)).length;
    query(line, '.count').textContent = count ? String(count) : '';
    return line;
  }

  /** @param {ColouredBox} box */
  showDetails(box) {
    for (const side of SIDES) {
      const input = query(this.details, `[name=${side}]`, HTMLInputElement);
      input.max = String(side.startsWith('x') ? this.size.width : this.size.height);
      input.value = String(box[side]);
      input.disabled = !this.mayEdit;
    }
    query(this.details, '[name=difficult]', HTMLInputElement).checked = box.difficult;
    const accept = queryOptional(this.details, '.accept');
    if (accept) accept.hidden = !isPrelabel(box);
  }

  /** @param {Event} event */
  chooseLabel(event) {
    const label = closest(event, 'button')?.dataset.label;
    if (label === undefined) return;
    this.handlers.onLabel(label);
    queryOptional(this.classes, '[aria-pressed=true]')?.focus();
  }

  /** @param {Event} event */
  chooseBox(event) {
    const id = closest(event, 'button')?.dataset.id;
    if (id === undefined) return;
    this.handlers.onSelected(id);
    queryOptional(this.list, `[data-id="${id}"]`)?.focus();
  }

  /** @param {Event} event */
  changeDetail(event) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (!this.box) return;
    if (input.name === 'difficult') {
      this.handlers.onDifficult(this.box.id, input.checked);
      return;
    }
    const read = (/** @type {string} */ side) =>
      query(this.details, `[name=${side}]`, HTMLInputElement).valueAsNumber;
    const corners = { x0: read('x0'), y0: read('y0'), x1: read('x1'), y1: read('y1') };
    if (Object.values(corners).every(Number.isFinite)) this.handlers.onCorners(this.box.id, corners);
    else this.showDetails(this.box);
  }
}

/**
 * @param {ColouredBox} box
 * @param {boolean} isSelected
 */
function createBoxLine(box, isSelected) {
  const line = cloneTemplate(document, '#box-line');
  const button = query(line, 'button');
  button.dataset.id = box.id;
  button.setAttribute('aria-pressed', String(isSelected));
  query(line, '.swatch').classList.add(`c${box.colour % COLOURS}`, isPrelabel(box) ? 'prelabel' : 'drawn');
  query(line, '.name').textContent = box.label;
  const words = [`${Math.round(box.x1 - box.x0)} × ${Math.round(box.y1 - box.y0)}`];
  if (box.score !== undefined) words.unshift(`${Math.round(100 * box.score)} %`);
  if (box.difficult) words.push('difficult');
  query(line, '.size').textContent = words.join(' · ');
  return line;
}

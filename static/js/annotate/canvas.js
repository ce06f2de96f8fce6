// An image with boxes on it: drawn, selected, moved and resized by pointer. What the boxes mean is the caller's.
import './node_env.js';
import { createImageAnnotator, UserSelectAction } from '../../vendor/annotorious/annotorious.es.js';
import { createSvg, query } from '../site/dom.js';
import { drawBox } from './box_shapes.js';
import { findBoxAt, roundRectangle } from './boxes.js';
import { Viewport } from './viewport.js';

const SMALLEST_SIDE = 2; // pixels of the image; anything smaller was not drawn on purpose
const CLICK_DISTANCE = 3; // pixels of the screen that a pointer moves in a click
const TOUCH_DISTANCE = 8;

/**
 * @typedef {import('./boxes.js').Corners} Corners
 * @typedef {import('./box_shapes.js').ColouredBox} ColouredBox
 *
 * @typedef {object} CanvasHandlers
 * @property {(corners: Corners) => void} onDrawn
 * @property {(id: string, corners: Corners) => void} onChanged
 * @property {(id: string | null) => void} onSelected
 */

/** Presses that we send to the library ourselves. */
const repeatedEvents = new WeakSet();

export class BoxCanvas {
  /**
   * @param {HTMLElement} stage
   * @param {boolean} mayEdit
   * @param {CanvasHandlers} handlers
   */
  constructor(stage, mayEdit, handlers) {
    this.stage = stage;
    this.mayEdit = mayEdit;
    this.handlers = handlers;
    /** @type {ColouredBox[]} */
    this.boxes = [];
    /** @type {string | null} */
    this.selected = null;
    this.hasHandles = false;
    this.isQuiet = false;
    this.wasClick = false;
    /** @type {HTMLImageElement | null} */
    this.opening = null;
    /** @type {import('@annotorious/annotorious').ImageAnnotator | null} */
    this.annotator = null;
    this.layer = stage;
    this.overlay = createSvg('svg', {});
    /** @type {ColouredBox | null} */
    this.changed = null; // the box that a pointer changes now
    /** @type {PointerEvent | null} */
    this.press = null;
    /** @type {PointerEvent | null} */
    this.grip = null; // of a mouse that moves the image
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    this.viewport = new Viewport(stage, () => this.repaint());
    stage.addEventListener('pointerdown', (event) => this.handlePress(event), { capture: true });
    stage.addEventListener('pointermove', (event) => this.handleMove(event), { capture: true });
    // In the capturing phase, because the library lets no end of a drawing pass.
    for (const end of ['pointerup', 'pointercancel']) {
      const handler = (/** @type {any} */ event) => this.handleRelease(event);
      window.addEventListener(end, handler, { capture: true });
    }
  }

  /**
   * Show an image; false when another one was asked for meanwhile.
   * @param {string} url
   * @param {string} name
   */
  async open(url, name) {
    const image = new Image();
    image.alt = name;
    image.draggable = false;
    image.src = url;
    this.opening = image;
    await image.decode();
    if (this.opening !== image) return false;
    this.annotator?.destroy();
    this.stage.replaceChildren(image);
    // Selecting is ours: the library takes a press of more than a quarter of a second for no click.
    const annotator = createImageAnnotator(image, {
      drawingEnabled: this.mayEdit,
      userSelectAction: UserSelectAction.NONE,
    });
    this.annotator = annotator;
    annotator.element.classList.add('box-canvas');
    this.layer = query(annotator.element, '.a9s-annotationlayer');
    this.layer.setAttribute('aria-label', 'The photo and its boxes');
    const viewBox = `0 0 ${image.naturalWidth} ${image.naturalHeight}`;
    this.overlay = createSvg('svg', { class: 'box-overlay', viewBox, 'aria-hidden': 'true' });
    annotator.element.insertBefore(this.overlay, this.layer);
    annotator.state.store.observe((event) => this.handleChanges(event.changes));
    this.boxes = [];
    this.viewport.setImage(image);
    return true;
  }

  /**
   * Show boxes.
   * @param {ColouredBox[]} boxes
   * @param {string | null} selected
   * @param {{ withHandles?: boolean }} [options] whether the selected box can be resized
   */
  show(boxes, selected, { withHandles = false } = {}) {
    this.boxes = boxes;
    this.selected = selected;
    this.hasHandles = withHandles && selected !== null;
    this.isQuiet = true;
    try {
      this.annotator?.setAnnotations(boxes.map(toAnnotation), true);
      if (withHandles && selected) this.annotator?.setSelected(selected, this.mayEdit);
      else this.annotator?.cancelSelected();
    } finally {
      this.isQuiet = false;
    }
    this.repaint();
    setTimeout(() => this.nameHandles());
  }

  /** @param {{ created?: any[], updated?: { newValue: any }[] }} changes of the library's annotations */
  handleChanges({ created = [], updated = [] }) {
    if (this.isQuiet) return;
    // The library still selects the new box after this; ours takes its place when it is done.
    for (const annotation of created) setTimeout(() => this.finishDrawing(annotation));
    for (const { newValue } of updated) {
      const box = this.boxes.find(({ id }) => id === newValue.id);
      if (!box) continue;
      this.changed = { ...box, ...this.getCorners(newValue) };
      this.repaint();
    }
  }

  /** @param {any} annotation */
  finishDrawing(annotation) {
    const corners = this.getCorners(annotation);
    const side = Math.min(corners.x1 - corners.x0, corners.y1 - corners.y0);
    if (!this.wasClick && side >= SMALLEST_SIDE) this.handlers.onDrawn(corners);
    else this.show(this.boxes, this.selected, { withHandles: this.hasHandles });
  }

  /** @param {any} annotation */
  getCorners(annotation) {
    const { naturalWidth: width = 0, naturalHeight: height = 0 } = this.viewport.image ?? {};
    return roundRectangle(annotation.target.selector.geometry, { width, height });
  }

  repaint() {
    const { changed, selected } = this;
    const { scale } = this.viewport;
    const boxes = this.boxes.map((box) => (changed && box.id === changed.id ? changed : box));
    this.overlay.replaceChildren(...boxes.map((box) => drawBox(box, box.id === selected, scale)));
  }

  /** The library's handles are buttons without a name; keys and numbers do their work for those without a pointer. */
  nameHandles() {
    for (const handle of this.layer.querySelectorAll('[role=button]')) {
      handle.setAttribute('aria-label', 'Corner');
      handle.setAttribute('tabindex', '-1');
    }
  }

  /** @param {PointerEvent} event */
  handlePress(event) {
    if (!this.annotator || event.button > 0) return;
    if (this.stage.classList.contains('panning')) {
      if (event.pointerType === 'mouse') this.grip = event; // fingers scroll by themselves
      return;
    }
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 2) {
      event.stopPropagation();
      this.annotator.cancelDrawing();
      this.viewport.endPinch();
      this.viewport.followPinch([...this.pointers.values()]);
      this.press = null;
      return;
    }
    const target = /** @type {Element} */ (event.target);
    const isOnLayer = this.layer.contains(target) && !target.closest('.selected');
    if (!isOnLayer || repeatedEvents.has(event)) return;
    if (event.isTrusted) this.layer.setPointerCapture(event.pointerId);
    this.press = event;
    if (!this.hasHandles) return;
    // While a box has handles the library draws nothing: deselect it, then let the library see this press again.
    event.stopPropagation();
    this.handlers.onSelected(null);
    setTimeout(() => this.repeatPress(event));
  }

  /** @param {PointerEvent} event */
  repeatPress({ clientX, clientY, pointerId, pointerType }) {
    const position = { clientX, clientY, pointerId, pointerType };
    const press = new PointerEvent('pointerdown', { bubbles: true, isPrimary: true, ...position });
    repeatedEvents.add(press);
    this.layer.dispatchEvent(press);
  }

  /** @param {PointerEvent} event */
  handleMove(event) {
    if (this.grip) {
      this.stage.scrollBy(this.grip.clientX - event.clientX, this.grip.clientY - event.clientY);
      this.grip = event;
    }
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size !== 2) return;
    event.stopPropagation();
    this.viewport.followPinch([...this.pointers.values()]);
  }

  /** @param {PointerEvent} event */
  handleRelease(event) {
    this.pointers.delete(event.pointerId);
    this.viewport.endPinch();
    this.grip = null;
    this.wasClick = this.press !== null && isClick(this.press, event);
    if (this.wasClick) this.selectAt(event);
    this.press = null;
    const { changed } = this;
    this.changed = null;
    if (!changed) return;
    const { id, x0, y0, x1, y1 } = changed;
    setTimeout(() => this.handlers.onChanged(id, { x0, y0, x1, y1 })); // when the library has let go of it
  }

  /** @param {PointerEvent} event */
  selectAt({ clientX, clientY }) {
    const { image } = this.viewport;
    if (!image) return;
    const frame = image.getBoundingClientRect();
    const scale = image.naturalWidth / frame.width;
    const id = findBoxAt(this.boxes, (clientX - frame.x) * scale, (clientY - frame.y) * scale)?.id ?? null;
    if (id === this.selected && (id === null || this.hasHandles)) return;
    setTimeout(() => this.handlers.onSelected(id)); // when the library is done
  }

  /**
   * Let the pointer move the image instead of drawing.
   * @param {boolean} isPanning
   */
  setPanning(isPanning) {
    this.stage.classList.toggle('panning', isPanning);
  }
}

/**
 * Whether a pointer has stayed where it was.
 * @param {PointerEvent} press
 * @param {PointerEvent} release
 */
function isClick(press, { clientX, clientY, pointerType }) {
  const distance = Math.hypot(clientX - press.clientX, clientY - press.clientY);
  return distance < (pointerType === 'touch' ? TOUCH_DISTANCE : CLICK_DISTANCE);
}

/**
 * @param {ColouredBox} box
 * @returns {any}
 */
function toAnnotation({ id, x0, y0, x1, y1 }) {
  const bounds = { minX: x0, minY: y0, maxX: x1, maxY: y1 };
  const geometry = { x: x0, y: y0, w: x1 - x0, h: y1 - y0, rot: 0, bounds };
  return { id, bodies: [], target: { annotation: id, selector: { type: 'RECTANGLE', geometry } } };
}

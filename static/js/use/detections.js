// Detections over an image: an SVG in the image's own pixels, and a list whose lines point at them.
import { closest, createSvg, queryAll } from '../site/dom.js';

const HUES = 6; // as in boxes.css

/**
 * @typedef {object} Detection
 * @property {string} label
 * @property {number} score 0 to 1
 * @property {number} x0 pixels of the upright image, as all corners; x1 and y1 are exclusive
 * @property {number} y0
 * @property {number} x1
 * @property {number} y1
 *
 * @typedef {object} DetectedImage
 * @property {number} width
 * @property {number} height
 * @property {Detection[]} detections highest score first
 */

/**
 * Draw the detections of an image.
 * @param {HTMLElement} pane filled with the image and its boxes
 * @param {HTMLElement} list filled with a line for each detection
 * @param {string} photo URL of the image
 * @param {DetectedImage} image
 * @param {string[]} labels all classes, in the order of their colours
 */
export function drawDetections(pane, list, photo, { width, height, detections }, labels) {
  const chooseHue = (/** @type {string} */ label) => `hue${Math.max(0, labels.indexOf(label)) % HUES}`;
  const svg = createSvg('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: 'img',
    'aria-label': summarizeDetections(detections),
  });
  svg.append(createSvg('image', { href: photo, width, height }));
  const fontSize = Math.max(width, height) / 26; // in the image's pixels
  const boxes = detections.map((detection, index) =>
    createBox(detection, index, chooseHue(detection.label), fontSize),
  );
  svg.append(...boxes.reverse()); // the highest score lies on top
  pane.replaceChildren(svg);
  list.replaceChildren(
    ...detections.map((detection, index) => createLine(detection, index, chooseHue(detection.label))),
  );
  const highlight = (/** @type {string | undefined} */ index) => {
    for (const part of [...queryAll(pane, '[data-index]'), ...queryAll(list, '[data-index]')]) {
      part.classList.toggle('chosen', index !== undefined && part.dataset.index === index);
    }
  };
  for (const part of [pane, list]) {
    part.onpointerover = (event) => highlight(closest(event, '[data-index]')?.dataset.index);
    part.onpointerleave = () => highlight(undefined);
  }
}

/**
 * @param {Detection} detection
 * @param {number} index
 * @param {string} hue
 * @param {number} fontSize
 */
function createBox({ label, x0, y0, x1, y1 }, index, hue, fontSize) {
  const box = createSvg('g', { class: hue, 'data-index': index });
  const size = { width: x1 - x0, height: y1 - y0 };
  box.append(createSvg('rect', { x: x0, y: y0, ...size, 'vector-effect': 'non-scaling-stroke' }));
  const position = { x: x0 + fontSize / 4, y: Math.max(y0, 0) + fontSize };
  const text = createSvg('text', { ...position, 'font-size': fontSize, 'stroke-width': fontSize / 4 });
  text.textContent = label;
  box.append(text);
  return box;
}

/**
 * @param {Detection} detection
 * @param {number} index
 * @param {string} hue
 */
function createLine({ label, score }, index, hue) {
  const line = document.createElement('li');
  line.dataset.index = String(index);
  for (const [className, text] of [
    [`swatch ${hue}`, ''],
    ['name', label],
    ['value', `${(100 * score).toFixed(0)} %`],
  ]) {
    const part = document.createElement('span');
    part.className = className;
    part.textContent = text;
    line.append(part);
  }
  return line;
}

/**
 * Say in words what was detected, as "2 × cat, 1 × dog".
 * @param {Pick<Detection, 'label'>[]} detections
 */
export function summarizeDetections(detections) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  if (!counts.size) return 'Nothing was found';
  return [...counts].map(([label, count]) => `${count} × ${label}`).join(', ');
}

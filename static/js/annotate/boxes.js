// The geometry of boxes, in pixels of the upright image; x1 and y1 are exclusive.

/**
 * @typedef {{ x0: number, y0: number, x1: number, y1: number }} Corners
 * @typedef {{ width: number, height: number }} Size of an image
 *
 * @typedef {Corners & { label: string, difficult: boolean }} StoredBox as REST takes it
 *
 * @typedef {StoredBox & { id: string, score?: number }} Box a prelabel has a score
 */

let created = 0;

/**
 * Give a box an id that is unique on this page.
 * @param {Corners & { label: string, difficult?: boolean, score?: number }} values
 * @returns {Box}
 */
export function createBox(values) {
  created += 1;
  const score = values.score === undefined ? {} : { score: values.score };
  return { ...toStoredBox(values), ...score, id: `box-${created}` };
}

/**
 * @param {Corners & { label: string, difficult?: boolean }} box
 * @returns {StoredBox}
 */
export function toStoredBox({ label, x0, y0, x1, y1, difficult }) {
  return { label, x0, y0, x1, y1, difficult: Boolean(difficult) };
}

/** @param {Pick<Box, 'score'>} box */
export function isPrelabel({ score }) {
  return score !== undefined;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * Keep corners on the image and at least a pixel apart.
 * @param {Corners} corners
 * @param {Size} size
 * @returns {Corners}
 */
export function limitCorners(corners, { width, height }) {
  const x0 = clamp(corners.x0, 0, width - 1);
  const y0 = clamp(corners.y0, 0, height - 1);
  return { x0, y0, x1: clamp(corners.x1, x0 + 1, width), y1: clamp(corners.y1, y0 + 1, height) };
}

/**
 * Corners of a drawn rectangle. A hundredth of a pixel is as fine as anyone draws; the server keeps these digits.
 * @param {{ x: number, y: number, w: number, h: number }} rectangle
 * @param {Size} size
 * @returns {Corners}
 */
export function roundRectangle({ x, y, w, h }, { width, height }) {
  const round = (/** @type {number} */ value, /** @type {number} */ side) =>
    Math.round(100 * clamp(value, 0, side)) / 100;
  return { x0: round(x, width), y0: round(y, height), x1: round(x + w, width), y1: round(y + h, height) };
}

/**
 * Move a box as far as the image reaches.
 * @param {Corners} box
 * @param {number} right
 * @param {number} down
 * @param {Size} size
 * @returns {Corners}
 */
export function moveBox({ x0, y0, x1, y1 }, right, down, { width, height }) {
  const dx = clamp(right, -x0, width - x1);
  const dy = clamp(down, -y0, height - y1);
  return { x0: x0 + dx, y0: y0 + dy, x1: x1 + dx, y1: y1 + dy };
}

/**
 * Move the lower right corner of a box, which stays at least a pixel wide and high.
 * @param {Corners} box
 * @param {number} right
 * @param {number} down
 * @param {Size} size
 * @returns {Corners}
 */
export function resizeBox({ x0, y0, x1, y1 }, right, down, { width, height }) {
  const dx = clamp(right, 1 - (x1 - x0), width - x1);
  const dy = clamp(down, 1 - (y1 - y0), height - y1);
  return { x0, y0, x1: x1 + dx, y1: y1 + dy };
}

/**
 * A box in the middle of the image, for those who draw by keyboard.
 * @param {Size} size
 * @returns {Corners}
 */
export function placeCentralBox({ width, height }) {
  const at = (/** @type {number} */ side, /** @type {number} */ share) => Math.round(side * share);
  return { x0: at(width, 0.4), y0: at(height, 0.4), x1: at(width, 0.6), y1: at(height, 0.6) };
}

/**
 * Boxes of another image that have room on this one and are not on it yet.
 * @param {StoredBox[]} boxes
 * @param {StoredBox[]} present
 * @param {Size} size
 */
export function copyFittingBoxes(boxes, present, { width, height }) {
  const known = new Set(present.map((box) => JSON.stringify(toStoredBox(box))));
  const cut = boxes.map((box) => ({
    ...toStoredBox(box),
    x1: Math.min(box.x1, width),
    y1: Math.min(box.y1, height),
  }));
  return cut.filter((box) => box.x1 - box.x0 >= 1 && box.y1 - box.y0 >= 1 && !known.has(JSON.stringify(box)));
}

/**
 * Find the smallest box under a point: a larger one can be reached beside it.
 * @template {Corners} T
 * @param {T[]} boxes
 * @param {number} x
 * @param {number} y
 * @returns {T | null}
 */
export function findBoxAt(boxes, x, y) {
  const under = boxes.filter(({ x0, y0, x1, y1 }) => x0 <= x && x <= x1 && y0 <= y && y <= y1);
  return under.sort((one, other) => computeArea(one) - computeArea(other))[0] ?? null;
}

/** @param {Corners} box */
function computeArea({ x0, y0, x1, y1 }) {
  return (x1 - x0) * (y1 - y0);
}

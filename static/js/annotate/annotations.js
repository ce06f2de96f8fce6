// What is annotated on one image, and every change to it. Nothing is changed in place, so that undo is a list of states.
import { createBox, isPrelabel, toStoredBox } from './boxes.js';

/**
 * @typedef {import('./boxes.js').Box} Box
 *
 * @typedef {object} Annotations
 * @property {Box[]} boxes
 * @property {boolean} isEmpty whether a person said that the image shows none of the classes
 * @property {Box[]} prelabels boxes that the detector proposes
 */

/** @type {Annotations} */
export const NO_ANNOTATIONS = { boxes: [], isEmpty: false, prelabels: [] };

/**
 * @param {Annotations} annotations
 * @param {string | null} id
 */
export function findBox({ boxes, prelabels }, id) {
  return [...boxes, ...prelabels].find((box) => box.id === id) ?? null;
}

/**
 * @param {Annotations} annotations
 * @param {Parameters<typeof createBox>[0][]} values
 * @returns {Annotations}
 */
export function addBoxes(annotations, values) {
  return { ...annotations, boxes: [...annotations.boxes, ...values.map(createBox)], isEmpty: false };
}

/**
 * Change a box; it keeps its place in the list. A prelabel that a person changes becomes a box.
 * @param {Annotations} annotations
 * @param {string} id
 * @param {Partial<Box>} values
 * @returns {Annotations}
 */
export function editBox(annotations, id, values) {
  const edit = (/** @type {Box} */ box) => (box.id === id ? { ...box, ...values } : box);
  const edited = {
    ...annotations,
    boxes: annotations.boxes.map(edit),
    prelabels: annotations.prelabels.map(edit),
  };
  return annotations.prelabels.some((box) => box.id === id) ? acceptPrelabels(edited, id) : edited;
}

/**
 * Remove a box or a prelabel. `next` is the one that takes its place in the list.
 * @param {Annotations} annotations
 * @param {string} id
 * @returns {{ annotations: Annotations, next: string | null }}
 */
export function removeBox(annotations, id) {
  const all = [...annotations.boxes, ...annotations.prelabels];
  const index = all.findIndex((box) => box.id === id);
  const rest = all.filter((box) => box.id !== id);
  const next = rest[index] ?? rest[rest.length - 1];
  const boxes = rest.filter((box) => !isPrelabel(box));
  return {
    annotations: { ...annotations, boxes, prelabels: rest.filter(isPrelabel) },
    next: next?.id ?? null,
  };
}

/**
 * Turn a prelabel, or all of them, into boxes.
 * @param {Annotations} annotations
 * @param {string | null} id null for all
 * @returns {Annotations}
 */
export function acceptPrelabels(annotations, id) {
  const accepted = annotations.prelabels.filter((box) => id === null || box.id === id);
  if (!accepted.length) return annotations;
  return {
    boxes: [...annotations.boxes, ...accepted.map((box) => ({ ...toStoredBox(box), id: box.id }))],
    isEmpty: false,
    prelabels: annotations.prelabels.filter((box) => !accepted.includes(box)),
  };
}

/**
 * Whether two states are the same to the server, which knows no prelabels.
 * @param {Annotations} one
 * @param {Annotations} other
 */
export function areStoredAlike(one, other) {
  const toText = (/** @type {Annotations} */ { boxes, isEmpty }) =>
    JSON.stringify([boxes.map(toStoredBox), isEmpty]);
  return toText(one) === toText(other);
}

// Boxes as SVG shapes over the image, each with its label.
import { createSvg } from '../site/dom.js';
import { isPrelabel } from './boxes.js';

/** @typedef {import('./boxes.js').Box & { colour: number }} ColouredBox */

export const COLOURS = 10; // annotate.css has as many
const FONT_SIZE = 12; // these in pixels of the screen
const CHARACTER_WIDTH = 7.4;
const LINE_HEIGHT = 17;
const MARGIN = 4;
const LEGIBLE = 0.7; // share of a label's width that a box needs to show it

/**
 * Draw a box. Labels of small boxes would cover their neighbours: their colour says the class, and a selected box has its label.
 * @param {ColouredBox} box
 * @param {boolean} isSelected
 * @param {number} scale pixels of the image for one of the screen
 */
export function drawBox(box, isSelected, scale) {
  const group = createSvg('g', { class: listClasses(box, isSelected).join(' ') });
  const { x0, y0, x1, y1 } = box;
  const size = { width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) };
  group.append(createSvg('rect', { x: x0, y: y0, ...size }));
  const hasRoom = (x1 - x0) / scale > 7 * box.label.length * LEGIBLE;
  if (hasRoom || isSelected) group.append(...drawLabel(box, scale));
  return group;
}

/**
 * @param {ColouredBox} box
 * @param {boolean} isSelected
 */
function listClasses(box, isSelected) {
  const classes = ['box', `c${box.colour % COLOURS}`, isPrelabel(box) ? 'prelabel' : 'drawn'];
  if (box.difficult) classes.push('difficult');
  if (isSelected) classes.push('is-selected');
  return classes;
}

/**
 * Write the label above the box, or inside where there is no room above; it keeps its size on the screen.
 * @param {ColouredBox} box
 * @param {number} scale
 */
function drawLabel({ label, score, x0, y0 }, scale) {
  const words = score === undefined ? label : `${label} ${Math.round(100 * score)} %`;
  const isAbove = y0 > LINE_HEIGHT * scale;
  const text = createSvg('text', {
    'font-size': FONT_SIZE * scale,
    x: x0 + MARGIN * scale,
    y: isAbove ? y0 - 5 * scale : y0 + 13 * scale,
  });
  text.textContent = words;
  const background = createSvg('rect', {
    class: 'label-background',
    x: x0,
    y: isAbove ? y0 - LINE_HEIGHT * scale : y0,
    width: (words.length * CHARACTER_WIDTH + 2 * MARGIN) * scale,
    height: LINE_HEIGHT * scale,
  });
  return [background, text];
}

// The learning curve as SVG: validation accuracy by epoch and, on a scale of its own, the loss. Of a detector the loss.
import { createSvg } from '../site/dom.js';

const WIDTH = 360;
const HEIGHT = 180;
const LEFT = 40;
const RIGHT = WIDTH - 8;
const BOTTOM = HEIGHT - 24;
const TOP = 8;

/**
 * @typedef {object} CurvePoint
 * @property {number} epoch
 * @property {number | null} [accuracy] 0 to 1
 * @property {number | null} [loss]
 *
 * @typedef {[number, number]} Point x and y in the plot's pixels
 *
 * @typedef {object} Plot
 * @property {string} name what it shows, for people who hear it
 * @property {string} unit of the horizontal axis
 * @property {[number, number]} range first and last value of the horizontal axis
 * @property {{ y: number, text: string }[]} ticks of the vertical axis
 * @property {Point[]} line
 * @property {Point[]} [secondLine]
 * @property {Point} [dot] the last measurement
 * @property {[string, string]} [legend] what the line and the second line are
 */

/**
 * Draw the curve into a figure, which stays hidden while there are fewer than two points.
 * @param {HTMLElement} figure
 * @param {CurvePoint[]} points
 * @param {CurvePoint[]} [finalPoints] the loss of the training on all images, after the measured one
 */
export function drawCurve(figure, points, finalPoints = []) {
  const measured = points.filter(({ accuracy }) => accuracy != null);
  const isMeasured = measured.length > 0;
  figure.hidden = (isMeasured ? measured : points).length < 2;
  if (figure.hidden) return;
  const plot = isMeasured ? layOutAccuracy(measured) : layOutLosses(points, finalPoints);
  figure.replaceChildren(drawPlot(plot), ...(plot.legend ? [createLegend(plot.legend)] : []));
}

/**
 * @param {CurvePoint[]} points all with an accuracy
 * @returns {Plot}
 */
export function layOutAccuracy(points) {
  const accuracies = points.map(({ accuracy }) => accuracy ?? 0);
  const epochs = points.map(({ epoch }) => epoch);
  /** @type {[number, number]} */
  const range = [Math.min(...epochs), Math.max(...epochs)];
  const x = createScale(range, [LEFT, RIGHT]);
  const low = Math.max(0, Math.floor(Math.min(...accuracies) * 10 - 0.5) / 10);
  const y = createScale([low, 1], [BOTTOM, TOP]);
  const line = /** @type {Point[]} */ (points.map(({ epoch }, index) => [x(epoch), y(accuracies[index])]));
  const last = points[points.length - 1];
  return {
    name: `Validation accuracy after epoch ${last.epoch}: ${(100 * (last.accuracy ?? 0)).toFixed(1)} %`,
    unit: 'epoch',
    range,
    ticks: [low, (low + 1) / 2, 1].map((value) => ({ y: y(value), text: `${Math.round(100 * value)} %` })),
    line,
    secondLine: layOutLoss(points, x),
    dot: line[line.length - 1],
    legend: ['accuracy on validation photos', 'loss (from its highest value to 0)'],
  };
}

/**
 * @param {CurvePoint[]} points
 * @param {(epoch: number) => number} x
 * @returns {Point[]}
 */
function layOutLoss(points, x) {
  const known = points.filter(({ loss }) => loss != null);
  const y = createScale([0, findLargestLoss(known)], [BOTTOM, TOP]);
  return known.map(({ epoch, loss }) => [x(epoch), y(loss ?? 0)]);
}

/**
 * @param {CurvePoint[]} points of the measured training
 * @param {CurvePoint[]} finalPoints of the training on all images
 * @returns {Plot}
 */
export function layOutLosses(points, finalPoints) {
  const known = [...points, ...finalPoints].filter(({ loss }) => loss != null);
  const epochs = known.map(({ epoch }) => epoch);
  /** @type {[number, number]} */
  const range = [Math.min(...epochs), Math.max(...epochs)];
  const x = createScale(range, [LEFT, RIGHT]);
  const largest = findLargestLoss(known);
  const y = createScale([0, largest], [BOTTOM, TOP]);
  /** @type {(all: CurvePoint[]) => Point[]} */
  const layOut = (all) =>
    all.filter(({ loss }) => loss != null).map(({ epoch, loss }) => [x(epoch), y(loss ?? 0)]);
  const last = points[points.length - 1];
  return {
    name: `Loss after epoch ${last.epoch}: ${(last.loss ?? 0).toFixed(3)}`,
    unit: 'epoch',
    range,
    ticks: [0, largest / 2, largest].map((value) => ({ y: y(value), text: value.toPrecision(2) })),
    line: layOut(points),
    secondLine: layOut(finalPoints),
    legend: finalPoints.length > 1 ? ['measured training', 'training on all photos'] : undefined,
  };
}

/** @param {CurvePoint[]} points */
function findLargestLoss(points) {
  return Math.max(0, ...points.map(({ loss }) => loss ?? 0)) || 1;
}

/**
 * A linear function that maps the range `from` to the range `to`.
 * @param {[number, number]} from
 * @param {[number, number]} to
 */
export function createScale([low, high], [start, end]) {
  const span = high - low || 1;
  return (/** @type {number} */ value) => start + ((value - low) / span) * (end - start);
}

/** @param {Plot} plot */
function drawPlot({ name, unit, range, ticks, line, secondLine = [], dot }) {
  const svg = createSvg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: 'plot',
    role: 'img',
    'aria-label': name,
  });
  for (const { y, text } of ticks) {
    svg.append(createSvg('line', { class: 'axis', x1: LEFT, x2: RIGHT, y1: y, y2: y }));
    svg.append(createText(LEFT - 6, y + 4, text, 'end'));
  }
  svg.append(createText(LEFT, HEIGHT - 6, `${unit} ${range[0]}`, 'start'));
  svg.append(createText(RIGHT, HEIGHT - 6, `${unit} ${range[1]}`, 'end'));
  if (secondLine.length > 1) svg.append(createLine('second', secondLine));
  svg.append(createLine('line', line));
  if (dot) svg.append(createSvg('circle', { class: 'dot', cx: dot[0], cy: dot[1], r: 3.5 }));
  return svg;
}

/**
 * @param {string} className
 * @param {Point[]} points
 */
function createLine(className, points) {
  const numbers = points.map((point) => point.map((value) => value.toFixed(1)).join(','));
  return createSvg('polyline', { class: className, points: numbers.join(' ') });
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 * @param {'start' | 'end'} anchor
 */
function createText(x, y, words, anchor) {
  const text = createSvg('text', { x, y, 'text-anchor': anchor });
  text.textContent = words;
  return text;
}

/** @param {[string, string]} names of the line and the second line */
function createLegend(names) {
  const list = document.createElement('ul');
  list.className = 'key';
  for (const [index, name] of names.entries()) {
    const entry = document.createElement('li');
    entry.className = ['first', 'second'][index];
    entry.textContent = name;
    list.append(entry);
  }
  return list;
}

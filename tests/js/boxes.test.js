// The geometry of boxes on an image.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clamp,
  copyFittingBoxes,
  createBox,
  findBoxAt,
  isPrelabel,
  limitCorners,
  moveBox,
  placeCentralBox,
  resizeBox,
  roundRectangle,
  toStoredBox,
} from '../../static/js/annotate/boxes.js';

const SIZE = { width: 48, height: 40 };
const corners = (x0, y0, x1, y1) => ({ x0, y0, x1, y1 });
const named = (label, ...rest) => ({ label, ...corners(...rest), difficult: false });

test('a created box has an id of its own and keeps its score only when it has one', () => {
  const one = createBox(named('cat', 1, 2, 3, 4));
  const other = createBox({ ...named('cat', 1, 2, 3, 4), score: 0.5 });
  assert.notEqual(one.id, other.id);
  assert.ok(!('score' in one) && !isPrelabel(one));
  assert.ok(other.score === 0.5 && isPrelabel(other));
  assert.ok(isPrelabel({ score: 0 }));
});

test('a stored box has exactly the fields that the server takes', () => {
  assert.deepEqual(
    toStoredBox({ ...named('cat', 1, 2, 3, 4), score: 0.5, id: 'x' }),
    named('cat', 1, 2, 3, 4),
  );
  assert.equal(toStoredBox({ label: 'cat', ...corners(1, 2, 3, 4) }).difficult, false);
});

test('clamp keeps a value between two bounds', () => {
  assert.deepEqual(
    [-1, 3, 9].map((value) => clamp(value, 0, 5)),
    [0, 3, 5],
  );
});

test('typed corners stay on the image and at least a pixel apart', () => {
  assert.deepEqual(limitCorners(corners(-5, -5, 99, 99), SIZE), corners(0, 0, 48, 40));
  assert.deepEqual(limitCorners(corners(20, 20, 10, 10), SIZE), corners(20, 20, 21, 21));
  assert.deepEqual(limitCorners(corners(90, 90, 95, 95), SIZE), corners(47, 39, 48, 40));
});

test('a drawn rectangle is cut at the image and rounded to hundredths of a pixel', () => {
  const rectangle = { x: -2, y: 1.23456, w: 12.5, h: 100 };
  assert.deepEqual(roundRectangle(rectangle, SIZE), corners(0, 1.23, 10.5, 40));
});

test('a moved box keeps its size and stops at the edge', () => {
  assert.deepEqual(moveBox(corners(10, 10, 20, 20), 5, -3, SIZE), corners(15, 7, 25, 17));
  assert.deepEqual(moveBox(corners(10, 10, 20, 20), -99, 99, SIZE), corners(0, 30, 10, 40));
});

test('a resized box keeps its upper left corner and at least one pixel', () => {
  assert.deepEqual(resizeBox(corners(10, 10, 20, 20), 1, -2, SIZE), corners(10, 10, 21, 18));
  assert.deepEqual(resizeBox(corners(10, 10, 20, 20), -99, 99, SIZE), corners(10, 10, 11, 40));
});

test('a box of the keyboard lies in the middle', () => {
  assert.deepEqual(placeCentralBox({ width: 100, height: 50 }), corners(40, 20, 60, 30));
});

test('copied boxes are cut at a smaller image, and known or empty ones are left out', () => {
  const source = [named('cat', 0, 0, 60, 60), named('dog', 50, 0, 60, 10), named('cat', 1, 1, 5, 5)];
  const present = [{ ...named('cat', 1, 1, 5, 5), id: 'box-1' }];
  assert.deepEqual(copyFittingBoxes(source, present, SIZE), [named('cat', 0, 0, 48, 40)]);
});

test('a point selects the smallest box under it', () => {
  const [large, small] = [corners(0, 0, 40, 40), corners(10, 10, 20, 20)];
  assert.equal(findBoxAt([large, small], 15, 15), small);
  assert.equal(findBoxAt([small, large], 15, 15), small);
  assert.equal(findBoxAt([large, small], 30, 30), large);
  assert.equal(findBoxAt([large, small], 45, 45), null);
});

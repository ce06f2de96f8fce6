// Files are divided into requests that a server takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  batchAnnotations,
  batchImages,
  formatMegabytes,
  sumSizes,
} from '../../static/js/datasets/upload_batches.js';
import { summarizeDetections } from '../../static/js/use/detections.js';

const file = (name, size = 1) => ({ file: { name, size }, path: name });
const many = (count, size) => Array.from({ length: count }, (_, index) => file(`${index}.jpg`, size));
const lengths = (batches) => batches.map(({ length }) => length);

test('images go eight in a request, fewer when they are large', () => {
  assert.deepEqual(lengths(batchImages(many(20, 1))), [8, 8, 4]);
  assert.deepEqual(lengths(batchImages(many(5, 7 * 2 ** 20))), [2, 2, 1]);
  assert.deepEqual(lengths(batchImages(many(1, 99 * 2 ** 20))), [1]);
  assert.deepEqual(batchImages([]), []);
});

test('a zip goes alone', () => {
  const batches = batchImages([file('1.jpg'), file('a.zip'), file('2.jpg')]);
  assert.deepEqual(
    batches.map((batch) => batch.map(({ path }) => path)),
    [['a.zip'], ['1.jpg', '2.jpg']],
  );
});

test('annotations go 500 in a request, each with the files that name the classes', () => {
  const naming = [file('classes.txt'), file('data.yaml')];
  const others = Array.from({ length: 501 }, (_, index) => file(`${index}.txt`));
  const batches = batchAnnotations([...others, ...naming]);
  assert.deepEqual(lengths(batches), [502, 3]);
  for (const batch of batches) assert.deepEqual(batch.slice(0, 2), naming);
  assert.deepEqual(batchAnnotations(naming), [naming]);
  assert.deepEqual(batchAnnotations([]), []);
});

test('sizes are summed and written in megabytes', () => {
  assert.equal(sumSizes(many(3, 5)), 15);
  assert.equal(formatMegabytes(1.25 * 2 ** 20), '1.3 MB');
  assert.equal(formatMegabytes(123.4 * 2 ** 20), '123 MB');
});

test('detections are counted by class', () => {
  const found = ['cat', 'dog', 'cat'].map((label) => ({ label }));
  assert.equal(summarizeDetections(found), '2 × cat, 1 × dog');
  assert.equal(summarizeDetections([]), 'Nothing was found');
});

// The images of a project while they are annotated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageList } from '../../static/js/annotate/image_list.js';

const list = (states, start = 'a') =>
  new ImageList(
    states.map((state, index) => ({ id: 'abcdef'[index], state })),
    start,
  );
const first = () => undefined; // prefers none

test('the list starts at an image, or at the first one when that is unknown', () => {
  assert.equal(list(['boxes', 'boxes'], 'b').position, 1);
  assert.equal(list(['boxes', 'boxes'], 'unknown').position, 0);
});

test('unlabelled images are listed from the open one onwards, then from the start', () => {
  const images = list(['unlabelled', 'boxes', 'unlabelled', 'empty', 'unlabelled'], 'c');
  assert.deepEqual(images.listUnlabelled(), ['c', 'e', 'a']);
  assert.equal(images.countDone, 2);
  assert.deepEqual(
    images.listNext().map(({ id }) => id),
    ['d', 'e'],
  );
});

test('skipped images come back when all others were skipped too', () => {
  const images = list(['unlabelled', 'unlabelled', 'boxes', 'unlabelled']);
  const visited = [];
  for (let step = 0; step < 5; step += 1) {
    const next = images.findNextUnlabelled(first);
    visited.push(next);
    images.position = images.findPosition(next);
  }
  assert.deepEqual(visited, ['b', 'd', 'a', 'b', 'd']);
});

test('the most useful image is preferred among those that were not skipped', () => {
  const images = list(['unlabelled', 'unlabelled', 'unlabelled']);
  assert.equal(
    images.findNextUnlabelled((ids) => ids.at(-1)),
    'c',
  );
});

test('there is no next image when no other is unlabelled', () => {
  assert.equal(list(['unlabelled', 'boxes']).findNextUnlabelled(first), undefined);
});

test('a deleted image comes back to its place', () => {
  const images = list(['boxes', 'unlabelled', 'boxes'], 'b');
  const { current, position } = images;
  images.remove(position);
  assert.equal(images.current.id, 'c');
  images.insert(position, current);
  assert.deepEqual(
    images.images.map(({ id }) => id),
    ['a', 'b', 'c'],
  );
});

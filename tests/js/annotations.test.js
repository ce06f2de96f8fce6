// Changes to the annotations of an image, and their undo.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acceptPrelabels,
  addBoxes,
  areStoredAlike,
  editBox,
  findBox,
  NO_ANNOTATIONS,
  removeBox,
} from '../../static/js/annotate/annotations.js';
import { createBox } from '../../static/js/annotate/boxes.js';
import { History } from '../../static/js/annotate/history.js';

const values = (label, x0 = 0) => ({ label, x0, y0: 0, x1: x0 + 10, y1: 10 });
const labelsOf = (boxes) => boxes.map(({ label }) => label);

function annotate() {
  const boxes = [createBox(values('cat')), createBox(values('dog'))];
  const prelabels = [
    createBox({ ...values('bird'), score: 0.9 }),
    createBox({ ...values('fish'), score: 0.8 }),
  ];
  return { boxes, isEmpty: false, prelabels };
}

test('added boxes end the mark that nothing is here', () => {
  const changed = addBoxes({ ...NO_ANNOTATIONS, isEmpty: true }, [values('cat'), values('dog')]);
  assert.deepEqual(labelsOf(changed.boxes), ['cat', 'dog']);
  assert.equal(changed.isEmpty, false);
  assert.deepEqual(NO_ANNOTATIONS.boxes, []);
});

test('an edited box keeps its place in the list', () => {
  const before = annotate();
  const changed = editBox(before, before.boxes[0].id, { label: 'cow' });
  assert.deepEqual(labelsOf(changed.boxes), ['cow', 'dog']);
  assert.deepEqual(labelsOf(before.boxes), ['cat', 'dog']);
  assert.equal(changed.boxes[0].id, before.boxes[0].id);
});

test('an edited prelabel becomes a box without a score', () => {
  const before = annotate();
  const changed = editBox(before, before.prelabels[0].id, { x0: 3 });
  assert.deepEqual(labelsOf(changed.boxes), ['cat', 'dog', 'bird']);
  assert.deepEqual(labelsOf(changed.prelabels), ['fish']);
  assert.equal(changed.boxes[2].x0, 3);
  assert.ok(!('score' in changed.boxes[2]));
});

test('one prelabel or all of them are accepted', () => {
  const before = annotate();
  assert.deepEqual(labelsOf(acceptPrelabels(before, before.prelabels[1].id).boxes), ['cat', 'dog', 'fish']);
  const all = acceptPrelabels(before, null);
  assert.deepEqual(labelsOf(all.boxes), ['cat', 'dog', 'bird', 'fish']);
  assert.deepEqual(all.prelabels, []);
  assert.equal(acceptPrelabels(before, 'unknown'), before);
});

test('after a removal the next box is selected, after the last one the one before', () => {
  const before = annotate();
  const ids = [...before.boxes, ...before.prelabels].map(({ id }) => id);
  assert.equal(removeBox(before, ids[0]).next, ids[1]);
  assert.equal(removeBox(before, ids[1]).next, ids[2]);
  assert.equal(removeBox(before, ids[3]).next, ids[2]);
  const { annotations } = removeBox(before, ids[2]);
  assert.deepEqual(
    [labelsOf(annotations.boxes), labelsOf(annotations.prelabels)],
    [['cat', 'dog'], ['fish']],
  );
  assert.equal(removeBox({ ...NO_ANNOTATIONS, boxes: [before.boxes[0]] }, ids[0]).next, null);
});

test('prelabels alone make no difference to what is saved', () => {
  const before = annotate();
  assert.ok(areStoredAlike(before, { ...before, prelabels: [] }));
  assert.ok(!areStoredAlike(before, { ...before, boxes: [] }));
  assert.ok(!areStoredAlike(before, { ...before, isEmpty: true }));
  assert.ok(!areStoredAlike(before, editBox(before, before.boxes[0].id, { difficult: true })));
});

test('boxes and prelabels are found by their id', () => {
  const before = annotate();
  assert.equal(findBox(before, before.prelabels[1].id), before.prelabels[1]);
  assert.equal(findBox(before, null), null);
});

test('states are undone and redone until a new change ends the redo', () => {
  const history = new History();
  assert.equal(history.undo('a'), null);
  history.record('a');
  history.record('b');
  assert.equal(history.undo('c'), 'b');
  assert.equal(history.undo('b'), 'a');
  assert.ok(!history.canUndo && history.canRedo);
  assert.equal(history.redo('a'), 'b');
  history.record('b');
  assert.ok(history.canUndo && !history.canRedo);
  assert.equal(history.redo('d'), null);
});

test('the history is bounded', () => {
  const history = new History();
  for (let state = 0; state < 300; state += 1) history.record(state);
  assert.equal(history.past.length, 200);
  assert.equal(history.past[0], 100);
});

// The layout of learning curves, and the sentences beside them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createScale, layOutAccuracy, layOutLosses } from '../../static/js/train/learning_curve.js';
import { describeStatus, formatDuration } from '../../static/js/train/progress.js';

test('a scale maps one range to another, also when the first has no length', () => {
  const scale = createScale([1, 3], [40, 240]);
  assert.deepEqual([1, 2, 3].map(scale), [40, 140, 240]);
  assert.equal(createScale([2, 2], [40, 240])(2), 40);
});

test('accuracy is drawn from a round tenth below the lowest value to 100 %', () => {
  const plot = layOutAccuracy([
    { epoch: 1, accuracy: 0.62, loss: 2 },
    { epoch: 2, accuracy: 0.8, loss: 1 },
    { epoch: 3, accuracy: 0.9 },
  ]);
  assert.equal(plot.name, 'Validation accuracy after epoch 3: 90.0 %');
  assert.deepEqual(
    plot.ticks.map(({ text }) => text),
    ['50 %', '75 %', '100 %'],
  );
  assert.deepEqual(plot.range, [1, 3]);
  const [xs, ys] = [plot.line.map(([x]) => x), plot.line.map(([, y]) => y)];
  assert.ok(xs[0] < xs[1] && xs[1] < xs[2] && ys[0] > ys[1] && ys[1] > ys[2]);
  assert.deepEqual(plot.dot, plot.line[2]);
});

test('the loss has a scale of its own and leaves out epochs without one', () => {
  const points = [
    { epoch: 1, accuracy: 0.5, loss: 4 },
    { epoch: 2, accuracy: 0.6, loss: null },
    { epoch: 3, accuracy: 0.7, loss: 1 },
  ];
  const { secondLine, line } = layOutAccuracy(points);
  assert.equal(secondLine.length, 2);
  assert.equal(secondLine[0][1], 8); // the highest loss at the top
  assert.equal(secondLine[1][0], line[2][0]);
});

test('the losses of a detector and of its final training share their scales', () => {
  const plot = layOutLosses(
    [
      { epoch: 1, loss: 4 },
      { epoch: 2, loss: 2 },
    ],
    [
      { epoch: 1, loss: 3 },
      { epoch: 4, loss: 1 },
    ],
  );
  assert.equal(plot.name, 'Loss after epoch 2: 2.000');
  assert.deepEqual(plot.range, [1, 4]);
  assert.deepEqual(
    plot.ticks.map(({ text }) => text),
    ['0.0', '2.0', '4.0'],
  );
  assert.equal(plot.line[0][0], plot.secondLine[0][0]);
  assert.equal(plot.line.length, 2);
  assert.equal(plot.legend.length, 2);
  assert.equal(layOutLosses([{ epoch: 1, loss: 1 }], []).legend, undefined);
});

test('the status of a training is one sentence', () => {
  const describe = (values) => describeStatus({ state: 'running', progress: null, ...values });
  assert.equal(describe({ cancel_requested: true }), 'Stopping …');
  assert.equal(describe({ state: 'queued', queue_position: 0 }), 'It is next.');
  assert.equal(describe({ state: 'queued', queue_position: 1 }), '1 training is before it.');
  assert.equal(describe({ state: 'queued', queue_position: 2 }), '2 trainings are before it.');
  assert.equal(
    describe({ progress: { message: 'Epoch 3 of 10', loss: 0.4321 } }),
    'Epoch 3 of 10 · loss 0.432',
  );
  assert.equal(describe({}), '');
});

test('durations are seconds, then minutes', () => {
  assert.deepEqual([0.2, 42, 59.6, 61, 600].map(formatDuration), [
    '1 s',
    '42 s',
    '1:00 min',
    '1:01 min',
    '10:00 min',
  ]);
});

// What became of uploaded files is counted by outcome and code, not by the words of a reason.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { UploadResults } from '../../static/js/datasets/upload_results.js';
import { installBrowser } from './browser.js';

/** An element that has a child for every selector. */
function makeElement() {
  const children = new Map();
  const element = {
    hidden: false,
    textContent: '',
    querySelector: (selector) => {
      if (!children.has(selector)) children.set(selector, makeElement());
      return children.get(selector);
    },
  };
  return element;
}

let panel;
let results;

beforeEach(() => {
  installBrowser();
  panel = makeElement();
  results = new UploadResults(panel);
});

test('skipped annotation files are told by their code, whatever their reason says', () => {
  results.report(makeElement(), {
    name: 'voc/1.xml',
    outcome: 'skipped',
    reason: 'ist kein Bild',
    code: 'annotation_file',
  });
  results.report(makeElement(), {
    name: 'boxes.pdf',
    outcome: 'skipped',
    reason: 'is not an image, though its name has boxes in it',
    code: 'not_an_image',
  });
  results.showHint();
  assert.equal(results.totals.unreadAnnotations, 1);
  assert.equal(panel.querySelector('.skipped-annotations').hidden, false);
  assert.equal(
    panel.querySelector('.skipped-annotations').querySelector('.number').textContent,
    'One file that was skipped',
  );
});

test('without annotation files there is no hint', () => {
  results.report(makeElement(), { name: '1.jpg', outcome: 'created', reason: '', code: '', label: 'rose' });
  results.showHint();
  assert.equal(panel.querySelector('.skipped-annotations').hidden, true);
  assert.deepEqual(results.totals.counts, { created: 1 });
  assert.equal(results.totals.hasLabels, true);
});

// What became of each uploaded file: a list, a count of each outcome, and the sentences below.
import { cloneTemplate, query, queryOptional, setText } from '../site/dom.js';

/**
 * @typedef {'created' | 'read' | 'duplicate' | 'restored' | 'skipped' | 'rejected' | 'failed'} Outcome
 *
 * @typedef {object} FileResult as REST gives it
 * @property {string} name
 * @property {Outcome} outcome
 * @property {string} reason
 * @property {string} [code] the reason for programs (recognition/datasets/upload_results.py)
 * @property {string | null} [label]
 *
 * @typedef {object} BoxCounts
 * @property {number} boxes
 * @property {number} images
 * @property {number} not_overwritten images that kept the boxes that they had
 *
 * @typedef {object} Totals
 * @property {Partial<Record<Outcome, number>>} counts
 * @property {BoxCounts} boxes that were imported
 * @property {number} unreadAnnotations files that may hold boxes, in a project that takes none
 * @property {boolean} hasLabels whether any image came with a class
 */

/** @type {Record<Outcome, { mark: string, words: string }>} */
const OUTCOMES = {
  created: { mark: '✓', words: 'added' },
  read: { mark: '✓', words: 'read' },
  duplicate: { mark: '=', words: 'already there' },
  restored: { mark: '↺', words: 'restored' },
  skipped: { mark: '–', words: 'skipped' },
  rejected: { mark: '!', words: 'rejected' },
  failed: { mark: '!', words: 'failed' },
};
const STORED = 500; // results that go along to the project's page

export class UploadResults {
  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.panel = panel;
    this.list = query(panel, '.upload-results');
    /** @type {Totals} */
    this.totals = {
      counts: {},
      boxes: { boxes: 0, images: 0, not_overwritten: 0 },
      unreadAnnotations: 0,
      hasLabels: false,
    };
    /** @type {FileResult[]} */
    this.remarkable = []; // all but the plainly added ones
  }

  get hasImages() {
    const { counts, boxes } = this.totals;
    return Boolean(counts.created || counts.restored || boxes.images);
  }

  get unsuccessful() {
    const { rejected = 0, failed = 0 } = this.totals.counts;
    return rejected + failed;
  }

  /**
   * Add a line for a file that is still on its way.
   * @param {string} name
   */
  addRow(name) {
    const row = cloneTemplate(document, '#upload-result');
    query(row, '.name').textContent = name;
    this.list.append(row);
    return row;
  }

  /**
   * Count a result and write it on a line.
   * @param {HTMLElement} row
   * @param {FileResult} result
   */
  report(row, { name, outcome, reason, code, label }) {
    const { counts } = this.totals;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    this.totals.hasLabels ||= Boolean(label);
    if (code === 'annotation_file') this.totals.unreadAnnotations += 1;
    if (outcome !== 'created' && this.remarkable.length < STORED) {
      this.remarkable.push({ name, outcome, reason });
    }
    const mark = query(row, '.mark');
    mark.className = `mark ${outcome}`;
    mark.textContent = OUTCOMES[outcome].mark;
    const words = outcome === 'created' && label ? label : OUTCOMES[outcome].words;
    query(row, '.reason').textContent = reason || words;
    if (outcome === 'rejected' || outcome === 'failed') row.parentElement?.prepend(row);
  }

  /** @param {BoxCounts} imported */
  addBoxes({ boxes, images, not_overwritten }) {
    this.totals.boxes.boxes += boxes;
    this.totals.boxes.images += images;
    this.totals.boxes.not_overwritten += not_overwritten;
  }

  showCounts() {
    const counts = /** @type {[Outcome, number][]} */ (Object.entries(this.totals.counts));
    const known = counts.filter(([, count]) => count);
    const words = known.map(([outcome, count]) => `${count} ${OUTCOMES[outcome].words}`);
    setText(query(this.panel, '.tally'), words.join(' · '));
  }

  /** Show what is known when every file has its result. */
  showSummary() {
    this.showCounts();
    const { boxes, images, not_overwritten } = this.totals.boxes;
    const line = query(this.panel, '.imported-boxes');
    line.hidden = !images && !not_overwritten;
    const left = not_overwritten ? ` ${not_overwritten} photos kept the boxes that they had.` : '';
    line.textContent = `${boxes} boxes on ${images} photos were imported.${left}`;
    this.showHint();
    if (this.unsuccessful) query(this.panel, 'details', HTMLDetailsElement).open = true;
  }

  /** Say where annotations can go that were dropped into a project of classes. */
  showHint() {
    const hint = queryOptional(this.panel, '.skipped-annotations');
    if (!hint) return;
    const { unreadAnnotations: count, hasLabels } = this.totals;
    hint.hidden = !count;
    const form = queryOptional(hint, 'form');
    if (form) form.hidden = hasLabels; // a project with labels keeps its task
    query(hint, '.elsewhere').hidden = form !== null && !hasLabels;
    query(hint, '.number').textContent =
      count === 1 ? 'One file that was skipped' : `${count} files that were skipped`;
  }

  /**
   * Store the results for the page of the project, to which the browser goes on.
   * @param {string} project
   */
  store(project) {
    try {
      sessionStorage.setItem(
        `upload ${project}`,
        JSON.stringify({ totals: this.totals, remarkable: this.remarkable }),
      );
    } catch {
      // Without storage there is no list; the images are there all the same.
    }
  }

  /**
   * Take up the results that the page before has stored; false when there are none.
   * @param {string} project
   */
  restore(project) {
    const text = sessionStorage.getItem(`upload ${project}`);
    sessionStorage.removeItem(`upload ${project}`);
    if (!text) return false;
    const { totals, remarkable } = JSON.parse(text);
    for (const result of remarkable) this.report(this.addRow(result.name), result);
    this.totals = totals;
    return true;
  }
}

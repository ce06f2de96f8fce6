// Sends files in small batches, says what became of each, and loses nothing when the network does.
import { query, setProgress, setText } from '../site/dom.js';
import { getJson, getMessage, RequestError, uploadForm } from '../site/requests.js';
import { findWrapper, isAnnotation, isZip } from './dropped_files.js';
import { batchAnnotations, batchImages, formatMegabytes, sumSizes } from './upload_batches.js';
import { UploadResults } from './upload_results.js';

const PARALLEL_REQUESTS = 3;
const ATTEMPTS = 7;
const FIRST_DELAY = 1000; // ms, doubled after every attempt
const ROWS = 3000; // with more files, only those that went wrong get a line
const COUNT_INTERVAL = 1000; // ms between two counts of a zip's images

/**
 * @typedef {import('./dropped_files.js').UploadFile & { row?: HTMLElement | null }} Item a file and its line
 * @typedef {import('./upload_results.js').FileResult} FileResult
 */

export class Upload {
  /**
   * @param {HTMLElement} panel
   * @param {{ upload?: string, health?: string, task?: string }} addresses of REST, and the project's task
   */
  constructor(panel, { upload = '', health = '', task = '' }) {
    this.panel = panel;
    this.url = upload;
    this.healthUrl = health;
    this.takesBoxes = task === 'detection';
    this.results = new UploadResults(panel);
    this.progress = query(panel, '.progress', HTMLProgressElement);
    this.wrapper = '';
    /** @type {Item[][]} */
    this.queue = [];
    /** @type {Map<Item[], number>} */
    this.sentBytes = new Map();
    this.totalBytes = 0;
    /** @type {Item[]} */
    this.failed = [];
    this.controller = new AbortController();
    query(panel, '.stop').onclick = () => this.controller.abort();
    query(panel, '.retry').onclick = () => this.retry();
  }

  /**
   * Upload files; resolves when each has its result, true when any image came in.
   * @param {Item[]} items
   */
  async send(items) {
    this.panel.hidden = false;
    query(this.panel, '.stop').hidden = false;
    this.wrapper = findWrapper(items.filter((item) => !isZip(item)));
    this.totalBytes += sumSizes(items);
    for (const item of items) item.row = items.length <= ROWS ? this.results.addRow(item.path) : null;
    const isDocument = (/** @type {Item} */ item) => this.takesBoxes && isAnnotation(item);
    this.queue.push(...batchImages(items.filter((item) => !isDocument(item))));
    window.addEventListener('beforeunload', warnBeforeLeaving);
    this.showProgress();
    try {
      await Promise.all(Array.from({ length: PARALLEL_REQUESTS }, () => this.sendQueue()));
      // Boxes last and together: each annotation looks for its image, and some need the file that names the classes.
      this.queue.push(...batchAnnotations(items.filter(isDocument)));
      await this.sendQueue();
    } finally {
      window.removeEventListener('beforeunload', warnBeforeLeaving);
      this.finish();
    }
    return this.results.hasImages;
  }

  async retry() {
    const items = this.failed;
    this.failed = [];
    this.controller = new AbortController();
    this.results.totals.counts.failed = 0;
    this.totalBytes -= sumSizes(items);
    for (const { row } of items) row?.remove();
    query(this.panel, '.retry').hidden = true;
    await this.send(items);
    this.panel.dispatchEvent(new CustomEvent('uploaded'));
  }

  async sendQueue() {
    for (let batch = this.queue[0]; batch && !this.controller.signal.aborted; batch = this.queue[0]) {
      this.queue.shift();
      try {
        this.reportResults(batch, await this.sendBatch(batch));
      } catch (error) {
        this.handleFailure(batch, error);
      }
      this.showProgress();
    }
  }

  /**
   * Send a batch, again and again while the server or the network is away.
   * @param {Item[]} batch
   * @returns {Promise<FileResult[]>}
   */
  async sendBatch(batch) {
    for (let delay = FIRST_DELAY, attempt = 1; ; attempt += 1, delay *= 2) {
      try {
        return await this.postBatch(batch);
      } catch (error) {
        if (!(error instanceof RequestError) || !error.isTemporary || attempt === ATTEMPTS) throw error;
        this.showStatus(`${error.message} Trying again …`);
        await waitForConnection(delay, this.controller.signal);
      }
    }
  }

  /**
   * @param {Item[]} batch
   * @returns {Promise<FileResult[]>}
   */
  async postBatch(batch) {
    const form = new FormData();
    const zip = batch.length === 1 && isZip(batch[0]) ? batch[0] : null;
    for (const { file, path } of batch) {
      form.append('files', file, file.name);
      if (!zip) form.append('relative_paths', path);
    }
    if (!zip && !this.takesBoxes) form.append('root_folder', this.wrapper);
    /** @type {HTMLInputElement | null} */
    const overwrite = document.querySelector('#overwrite');
    if (overwrite?.checked) form.append('overwrite', 'true');
    let stopCounting = () => {};
    try {
      const answer = await uploadForm(this.url, form, {
        signal: this.controller.signal,
        onProgress: (bytes) => this.setSentBytes(batch, bytes),
        onSent: () => {
          if (zip) stopCounting = this.countImages(zip);
        },
      });
      return this.readResults(answer, batch);
    } catch (error) {
      // Nothing could be taken, and each file has its reason.
      if (error instanceof RequestError && error.answer?.files) return this.readResults(error.answer, batch);
      throw error;
    } finally {
      stopCounting();
    }
  }

  /**
   * List the results of an answer; rejected annotations follow as further ones.
   * @param {any} answer
   * @param {Item[]} batch
   * @returns {FileResult[]}
   */
  readResults({ files, annotations }, batch) {
    if (!annotations) return files;
    this.results.addBoxes(annotations);
    const documents = batch.filter((item) => this.takesBoxes && isAnnotation(item));
    return [
      ...files,
      ...documents.map(({ path }) => ({ name: path, outcome: 'read', reason: '' })),
      ...annotations.rejected.map((/** @type {{ name: string, reason: string }} */ rejection) => ({
        ...rejection,
        outcome: 'rejected',
      })),
    ];
  }

  /**
   * Show how the number of images grows while the server reads a zip. Returns a function that stops it.
   * @param {Item} item
   */
  countImages({ row, path }) {
    /** @type {number | null} */
    let before = null;
    const count = async () => {
      try {
        const { images } = await getJson(this.healthUrl);
        before ??= images;
        this.showStatus(`Reading ${path}: ${images - (before ?? 0)} photos so far`);
      } catch {
        // The count is only for show; the upload's own answer says what matters.
      }
    };
    if (row) query(row, '.reason').textContent = 'reading …';
    setProgress(this.progress, null);
    count();
    const timer = setInterval(count, COUNT_INTERVAL);
    return () => clearInterval(timer);
  }

  /**
   * @param {Item[]} batch
   * @param {number} bytes
   */
  setSentBytes(batch, bytes) {
    this.sentBytes.set(batch, bytes);
    this.showProgress();
  }

  /**
   * @param {Item[]} batch
   * @param {FileResult[]} results one for each file, or those of a zip's files
   */
  reportResults(batch, results) {
    this.sentBytes.set(batch, sumSizes(batch));
    if (batch.length === results.length) {
      for (const [index, item] of batch.entries()) this.report(item, results[index]);
      return;
    }
    for (const { row } of batch) row?.remove();
    for (const result of results) this.results.report(this.results.addRow(result.name), result);
  }

  /**
   * @param {Item[]} batch
   * @param {unknown} error
   */
  handleFailure(batch, error) {
    this.sentBytes.set(batch, sumSizes(batch));
    const isStopped = error instanceof DOMException && error.name === 'AbortError';
    const status = error instanceof RequestError ? error.status : 0;
    if (batch.length > 1 && status >= 400 && status !== 401 && status !== 404) {
      // One of these files is refused; alone, each gets its own answer.
      this.sentBytes.delete(batch);
      this.queue.push(...batch.map((item) => [item]));
      return;
    }
    this.reportFailure(batch, isStopped ? 'stopped' : getMessage(error));
  }

  /**
   * @param {Item[]} items
   * @param {string} reason
   */
  reportFailure(items, reason) {
    this.failed.push(...items);
    for (const item of items) this.report(item, { name: item.path, outcome: 'failed', reason });
  }

  /**
   * @param {Item} item
   * @param {FileResult} result
   */
  report(item, result) {
    item.row ??= this.results.addRow(item.path);
    this.results.report(item.row, { ...result, name: item.path });
  }

  showProgress() {
    const sent = [...this.sentBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (this.progress.hasAttribute('value')) {
      setProgress(this.progress, this.totalBytes ? Math.min(1, sent / this.totalBytes) : 1);
    }
    this.results.showCounts();
    if (this.controller.signal.aborted || !this.queue.length) return;
    this.showStatus(`Sending photos: ${formatMegabytes(sent)} of ${formatMegabytes(this.totalBytes)}`);
  }

  /** @param {string} sentence */
  showStatus(sentence) {
    setText(query(this.panel, '.status'), sentence);
  }

  finish() {
    this.reportFailure(this.queue.splice(0).flat(), 'stopped');
    setProgress(this.progress, 1);
    this.showSummary();
  }

  showSummary() {
    const { unsuccessful } = this.results;
    this.results.showSummary();
    this.showStatus(unsuccessful ? `Done; ${unsuccessful} could not be added` : 'Done');
    query(this.panel, '.stop').hidden = true;
    query(this.panel, '.retry').hidden = !this.failed.length;
  }

  /**
   * Show the results of the upload that made this project, on the page before.
   * @param {string} project
   */
  showStoredResults(project) {
    if (!this.results.restore(project)) return;
    this.panel.hidden = false;
    setProgress(this.progress, 1);
    this.showSummary();
  }
}

/**
 * Wait; end early when the connection is back, fail when the upload is stopped.
 * @param {number} delay in ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function waitForConnection(delay, signal) {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException('The upload was stopped.', 'AbortError'));
    };
    const timer = setTimeout(finish, delay);
    window.addEventListener('online', finish, { once: true });
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** @param {BeforeUnloadEvent} event */
function warnBeforeLeaving(event) {
  event.preventDefault();
}

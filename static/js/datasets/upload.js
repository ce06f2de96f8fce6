// Sends files in small batches, tells what became of each, and loses nothing when the network does.
import { getJson, Refusal, sendForm } from '../site/requests.js';
import { isAnnotation, isZip, wrapperOf } from './folders.js';

const BATCH_FILES = 8;
const BATCH_BYTES = 16 * 2 ** 20;
const CHAPTER = 500; // files of boxes in one request
const IN_FLIGHT = 3;
const TRIES = 7;
const FIRST_WAIT = 1000; // ms, doubled after every try
const GLYPHS = {
  created: '✓',
  read: '✓',
  duplicate: '=',
  restored: '↺',
  skipped: '–',
  rejected: '!',
  failed: '!',
};
const KEPT = 500; // verdicts that go along to the project's page
const HOLDS_BOXES = /if it holds boxes/; // the server's reason (recognition/datasets/archives.py)
const WORDS = {
  created: 'added',
  read: 'read',
  duplicate: 'already there',
  restored: 'brought back',
  skipped: 'skipped',
  rejected: 'rejected',
  failed: 'failed',
};

export class Upload {
  constructor(panel, { upload, health, task = '' }) {
    this.panel = panel;
    this.url = upload;
    this.healthUrl = health;
    this.finds = task === 'detection'; // boxes may come along
    this.boxes = { boxes: 0, images: 0, kept: 0, refused: 0 };
    this.labelled = false;
    this.unread = 0; // files that may hold boxes, in a project that takes none
    this.tally = {};
    this.told = [];
    this.queue = [];
    this.sent = new Map();
    this.total = 0;
    this.failed = [];
    this.stopper = new AbortController();
    panel.querySelector('.stop').onclick = () => this.stopper.abort();
    panel.querySelector('.again').onclick = () => this.retry();
  }

  // Resolves when every file has its verdict; true when any image came in.
  async send(items) {
    this.panel.hidden = false;
    this.wrapper = wrapperOf(items.filter((item) => !isZip(item)));
    this.total += items.reduce((sum, { file }) => sum + file.size, 0);
    const rows = items.length <= 3000; // beyond that only what went wrong gets a line
    for (const item of items) item.row = rows ? this.addRow(item.path) : null;
    const told = (item) => this.finds && isAnnotation(item);
    const documents = items.filter(told);
    this.queue.push(...batches(items.filter((item) => !told(item))));
    window.addEventListener('beforeunload', warn);
    this.paint();
    try {
      await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.work()));
      // Boxes last and together: each annotation looks for its photo, and some need the file that names the classes.
      this.queue.push(...chapters(documents));
      await this.work();
    } finally {
      window.removeEventListener('beforeunload', warn);
      this.end();
    }
    return ['created', 'restored'].some((outcome) => this.tally[outcome]) || this.boxes.images > 0;
  }

  async retry() {
    const items = this.failed;
    this.failed = [];
    this.stopper = new AbortController();
    this.tally.failed = 0;
    this.total -= items.reduce((sum, { file }) => sum + file.size, 0);
    for (const { row } of items) row?.remove();
    this.panel.querySelector('.again').hidden = true;
    const any = await this.send(items);
    this.panel.dispatchEvent(new CustomEvent('uploaded', { detail: any }));
  }

  async work() {
    while (this.queue.length && !this.stopper.signal.aborted) {
      const batch = this.queue.shift();
      try {
        this.settle(batch, await this.deliver(batch));
      } catch (error) {
        this.fall(batch, error);
      }
      this.paint();
    }
  }

  async deliver(batch) {
    for (let wait = FIRST_WAIT, tries = 1; ; tries += 1, wait *= 2) {
      try {
        return await this.post(batch);
      } catch (error) {
        if (!(error instanceof Refusal) || !error.temporary || tries === TRIES) throw error;
        this.say(`${error.message} Trying again …`);
        await pause(wait, this.stopper.signal);
      }
    }
  }

  async post(batch) {
    const form = new FormData();
    const zip = batch.length === 1 && isZip(batch[0]);
    for (const { file, path } of batch) {
      form.append('files', file, file.name);
      if (!zip) form.append('paths', path);
    }
    if (!zip && !this.finds) form.append('wrapper', this.wrapper);
    if (document.getElementById('overwrite')?.checked) form.append('overwrite', 'true');
    const watch = zip ? this.watchReading(batch[0]) : null;
    try {
      const answer = await sendForm(this.url, form, {
        signal: this.stopper.signal,
        onSent: (bytes) => this.note(batch, bytes),
        onAllSent: () => watch?.begin(),
      });
      return this.withBoxes(answer, batch);
    } catch (error) {
      if (error.answer?.files) return this.withBoxes(error.answer, batch); // nothing could be taken, and each file has its reason
      throw error;
    } finally {
      watch?.end();
    }
  }

  // The verdicts, and what of the boxes was not taken as further ones.
  withBoxes({ files, annotations }, batch) {
    if (!annotations) return files;
    this.boxes.boxes += annotations.boxes;
    this.boxes.images += annotations.images;
    this.boxes.kept += annotations.kept;
    this.boxes.refused += annotations.refused_count;
    const documents = batch
      .filter((item) => this.finds && isAnnotation(item))
      .map(({ path }) => ({ name: path, outcome: 'read', reason: '' }));
    const refused = annotations.refused.map(({ where, reason }) => ({
      name: where,
      outcome: 'rejected',
      reason,
    }));
    return [...files, ...documents, ...refused];
  }

  // A zip is on the server and being read: the count of images grows.
  watchReading({ row, path }) {
    let timer = 0;
    let before = null;
    const look = async () => {
      try {
        const { images } = await getJson(this.healthUrl);
        before ??= images;
        this.say(`Reading ${path}: ${images - before} photos so far`);
      } catch {
        // The count is only for show; the upload's own answer tells what matters.
      }
    };
    return {
      begin: () => {
        if (row) row.querySelector('.reason').textContent = 'reading …';
        this.panel.querySelector('.whole').removeAttribute('value');
        look();
        timer = setInterval(look, 1000);
      },
      end: () => clearInterval(timer),
    };
  }

  note(batch, bytes) {
    this.sent.set(batch, bytes);
    this.paint();
  }

  settle(batch, verdicts) {
    this.sent.set(batch, size(batch));
    if (batch.length === verdicts.length) {
      for (const [index, item] of batch.entries())
        this.tell(item.row ?? this.addRow(item.path), verdicts[index]);
      return;
    }
    for (const { row } of batch) row?.remove();
    for (const verdict of verdicts) this.tell(this.addRow(verdict.name, verdict.outcome), verdict);
  }

  fall(batch, error) {
    this.sent.set(batch, size(batch));
    if (error.name === 'AbortError') {
      this.failed.push(...batch);
      for (const item of batch)
        this.tell(item.row ?? this.addRow(item.path), { outcome: 'failed', reason: 'stopped' });
    } else if (batch.length > 1 && error.status >= 400 && error.status !== 401 && error.status !== 404) {
      // Something in this batch is not taken; alone, each file gets its own answer.
      this.sent.delete(batch);
      this.queue.push(...batch.map((item) => [item]));
    } else {
      this.failed.push(...batch);
      for (const item of batch)
        this.tell(item.row ?? this.addRow(item.path), { outcome: 'failed', reason: error.message });
    }
  }

  addRow(name) {
    const row = document.getElementById('verdict').content.firstElementChild.cloneNode(true);
    row.querySelector('.name').textContent = name;
    this.panel.querySelector('.verdicts').append(row);
    return row;
  }

  tell(row, { outcome, reason, label }) {
    this.tally[outcome] = (this.tally[outcome] ?? 0) + 1;
    if (outcome !== 'created' && this.told.length < KEPT)
      this.told.push({ name: row.querySelector('.name').textContent, outcome, reason });
    this.labelled ||= Boolean(label);
    if (outcome === 'skipped' && HOLDS_BOXES.test(reason)) this.unread += 1;
    const mark = row.querySelector('.mark');
    mark.className = `mark ${outcome}`;
    mark.textContent = GLYPHS[outcome] ?? '?';
    row.querySelector('.reason').textContent =
      reason || (outcome === 'created' && label) || WORDS[outcome] || outcome;
    if (['rejected', 'failed'].includes(outcome)) row.parentElement.prepend(row);
  }

  paint() {
    const sent = [...this.sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    const bar = this.panel.querySelector('.whole');
    if (bar.hasAttribute('value')) bar.value = this.total ? Math.min(1, sent / this.total) : 1;
    const told = Object.entries(this.tally).filter(([, count]) => count);
    this.panel.querySelector('.tally').textContent = told
      .map(([outcome, count]) => `${count} ${WORDS[outcome]}`)
      .join(' · ');
    if (!this.stopper.signal.aborted && this.queue.length)
      this.say(`Sending photos: ${megabytes(sent)} of ${megabytes(this.total)}`);
  }

  end() {
    for (const item of this.queue.splice(0).flat()) {
      this.failed.push(item);
      this.tell(item.row ?? this.addRow(item.path), { outcome: 'failed', reason: 'stopped' });
    }
    const bar = this.panel.querySelector('.whole');
    bar.value = 1;
    this.paint();
    const bad = (this.tally.rejected ?? 0) + (this.tally.failed ?? 0);
    this.say(bad ? `Done; ${bad} could not be taken` : 'Done');
    const { boxes, images, kept } = this.boxes;
    const line = this.panel.querySelector('.boxes-in');
    line.hidden = !images && !kept;
    line.textContent = `${boxes} boxes on ${images} photos came in.${kept ? ` ${kept} photos kept the boxes that they had.` : ''}`;
    this.hint();
    this.panel.querySelector('.stop').hidden = true;
    this.panel.querySelector('.again').hidden = !this.failed.length;
    if (bad) this.panel.querySelector('details').open = true;
  }

  // Annotations that were dropped into a project that tells what whole photos show.
  hint() {
    const pane = this.panel.querySelector('.boxes-out');
    if (!pane) return;
    pane.hidden = !this.unread;
    const form = pane.querySelector('form');
    if (form) form.hidden = this.labelled; // a project with labels stays what it is
    pane.querySelector('.elsewhere').hidden = Boolean(form) && !this.labelled;
    pane.querySelector('.number').textContent =
      this.unread === 1 ? 'One file that was skipped' : `${this.unread} files that were skipped`;
  }

  // The page that made the project is left; what became of its files is told on the next one.
  keep(project) {
    try {
      sessionStorage.setItem(
        `upload ${project}`,
        JSON.stringify({
          tally: this.tally,
          told: this.told,
          boxes: this.boxes,
          unread: this.unread,
          labelled: this.labelled,
        }),
      );
    } catch {
      // No storage, no list: the images are there all the same.
    }
  }

  showKept(project) {
    const kept = JSON.parse(sessionStorage.getItem(`upload ${project}`) ?? 'null');
    sessionStorage.removeItem(`upload ${project}`);
    if (!kept) return;
    this.panel.hidden = false;
    for (const verdict of kept.told) this.tell(this.addRow(verdict.name), verdict);
    this.tally = kept.tally;
    this.boxes = kept.boxes ?? this.boxes;
    this.unread = kept.unread ?? this.unread;
    this.labelled = kept.labelled ?? this.labelled;
    this.end();
  }

  say(sentence) {
    const line = this.panel.querySelector('.what');
    if (line.textContent !== sentence) line.textContent = sentence;
  }
}

// Loose photos together, up to a bound; a zip alone.
function batches(items) {
  const made = [];
  let batch = [];
  let bytes = 0;
  for (const item of items) {
    if (isZip(item)) {
      made.push([item]);
      continue;
    }
    if (batch.length && (batch.length >= BATCH_FILES || bytes + item.file.size > BATCH_BYTES)) {
      made.push(batch);
      [batch, bytes] = [[], 0];
    }
    batch.push(item);
    bytes += item.file.size;
  }
  return batch.length ? [...made, batch] : made;
}

// Files of boxes in requests that a server takes; the class names go along with each.
function chapters(documents) {
  const naming = documents.filter(({ file }) => /^(classes\.txt|obj\.names)$|\.ya?ml$/i.test(file.name));
  const others = documents.filter((item) => !naming.includes(item));
  const made = [];
  for (let start = 0; start < others.length; start += CHAPTER)
    made.push([...naming, ...others.slice(start, start + CHAPTER)]);
  return made.length || !naming.length ? made : [naming];
}

function size(batch) {
  return batch.reduce((sum, { file }) => sum + file.size, 0);
}

function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0)} MB`;
}

// Ends early when the connection is back, or when the person stops it.
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException('stopped', 'AbortError'));
    };
    const timer = setTimeout(finish, milliseconds);
    window.addEventListener('online', finish, { once: true });
    signal.addEventListener('abort', stop, { once: true });
  });
}

function warn(event) {
  event.preventDefault();
}

// Boxes on their way to the server. What is not saved yet lies in the browser's storage, one entry an image, and is sent
// again until it is: through a lost connection, a reload, a sign-in.
import { getJson, putJson, RequestError } from '../site/requests.js';

const FIRST_DELAY = 1000; // ms, doubled after every attempt
const LONGEST_DELAY = 30000;
const FINAL_STATUSES = [403, 404, 413, 422]; // answers that sending again does not change
const ATTEMPTS = 20; // sent box sets that are remembered, to recognise our own

/**
 * @typedef {import('./boxes.js').StoredBox} StoredBox
 *
 * @typedef {object} BoxSet
 * @property {StoredBox[]} boxes
 * @property {boolean} isEmpty whether a person said that the image shows none of the classes
 *
 * @typedef {object} EntryState
 * @property {number} version the server's version that these boxes replace
 * @property {string[]} attempts fingerprints of the box sets that were sent
 * @property {number} changedAt distinguishes a later change from the one that was sent
 * @property {boolean} isHeld waits for the user, not for the server
 *
 * @typedef {BoxSet & EntryState} Entry
 *
 * @typedef {object} BoxRecord the server's record of an image
 * @property {string} image
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {number} version
 * @property {'unlabelled' | 'boxes' | 'empty'} state
 * @property {StoredBox[]} boxes
 *
 * @typedef {'' | 'signed out' | 'server' | 'offline'} Trouble
 * @typedef {{ waiting: number, trouble: Trouble, isStored: boolean }} QueueState
 *
 * @typedef {object} QueueHandlers
 * @property {(state: QueueState) => void} onState
 * @property {(image: string, answer: { version: number }) => void} onSaved
 * @property {(image: string, theirs: BoxRecord) => void} onConflict somebody else has changed the boxes
 * @property {(image: string, message: string) => void} onRefused
 */

export class SaveQueue {
  /**
   * @param {string} prefix of the keys in the browser's storage
   * @param {(image: string) => string} getUrl
   * @param {QueueHandlers} handlers
   */
  constructor(prefix, getUrl, handlers) {
    this.prefix = prefix;
    this.getUrl = getUrl;
    this.handlers = handlers;
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    this.delay = FIRST_DELAY;
    /** @type {Trouble} */
    this.trouble = '';
    this.isStored = true;
    /** @type {Promise<void> | null} */
    this.sending = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.load();
    window.addEventListener('online', () => this.sendSoon());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.sendSoon();
    });
  }

  /** Whether boxes would be lost with the page. */
  get isAtRisk() {
    return !this.isStored && this.entries.size > 0;
  }

  load() {
    const storage = getStorage();
    for (const key of Object.keys(storage ?? {})) {
      if (!key.startsWith(this.prefix)) continue;
      this.entries.set(key.slice(this.prefix.length), parseEntry(storage?.getItem(key) ?? '{}'));
    }
    this.sendSoon();
  }

  /** @param {string} image */
  get(image) {
    return this.entries.get(image) ?? null;
  }

  /**
   * Queue the boxes of an image.
   * @param {string} image
   * @param {number} version the one that they replace, unless boxes of this image wait already
   * @param {BoxSet} boxSet
   */
  add(image, version, { boxes, isEmpty }) {
    const before = this.entries.get(image);
    this.store(image, {
      version: before?.version ?? version,
      boxes,
      isEmpty,
      attempts: before?.attempts ?? [],
      changedAt: Date.now() + Math.random(),
      isHeld: false,
    });
    this.sendSoon();
  }

  /**
   * Overwrite another version of the boxes by ours.
   * @param {string} image
   * @param {number} version
   */
  overwrite(image, version) {
    const entry = this.entries.get(image);
    if (entry) this.store(image, { ...entry, version, isHeld: false });
    this.sendSoon();
  }

  /**
   * Discard what waits for an image.
   * @param {string} image
   */
  discard(image) {
    this.remove(image);
    this.sendSoon();
  }

  sendSoon() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.reportState();
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
      if (this.findNext() && this.timer === undefined) this.sendSoon();
    });
  }

  findNext() {
    return [...this.entries].find(([, entry]) => !entry.isHeld);
  }

  async sendAll() {
    for (let next = this.findNext(); next; next = this.findNext()) {
      try {
        await this.send(...next);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        this.retryLater(error);
        return;
      }
      this.delay = FIRST_DELAY;
      this.trouble = '';
      this.reportState();
    }
  }

  /**
   * @param {string} image
   * @param {Entry} entry
   */
  async send(image, entry) {
    const attempts = [...entry.attempts, computeFingerprint(entry)].slice(-ATTEMPTS);
    this.store(image, { ...entry, attempts });
    const { version, boxes, isEmpty } = entry;
    try {
      const answer = await putJson(this.getUrl(image), { version, boxes, empty: isEmpty });
      this.confirm(image, entry, answer);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status === 409) await this.resolveConflict(image);
      else if (FINAL_STATUSES.includes(error.status)) this.refuse(image, error);
      else throw error;
    }
  }

  /**
   * @param {string} image
   * @param {Entry} sent
   * @param {{ version: number }} answer
   */
  confirm(image, sent, answer) {
    const present = this.entries.get(image);
    if (present?.changedAt === sent.changedAt) this.remove(image);
    else if (present) this.store(image, { ...present, version: answer.version, attempts: [] });
    this.handlers.onSaved(image, answer);
  }

  /**
   * What is forbidden now may be allowed after a reload, and is held; what is invalid never, and is discarded.
   * @param {string} image
   * @param {RequestError} error
   */
  refuse(image, error) {
    const entry = this.entries.get(image);
    if (error.status === 403 && entry) this.store(image, { ...entry, isHeld: true });
    else this.remove(image);
    this.handlers.onRefused(image, error.message);
  }

  /**
   * The answer to our own change may have been lost: then the server has what we sent. Otherwise somebody else changed it.
   * @param {string} image
   */
  async resolveConflict(image) {
    /** @type {BoxRecord} */
    const theirs = await getJson(this.getUrl(image));
    const entry = this.entries.get(image);
    if (!entry) return;
    const fingerprint = computeFingerprint({ boxes: theirs.boxes, isEmpty: theirs.state === 'empty' });
    if (entry.attempts.includes(fingerprint)) {
      this.store(image, { ...entry, version: theirs.version, attempts: [] });
    } else {
      this.store(image, { ...entry, isHeld: true });
      this.handlers.onConflict(image, theirs);
    }
  }

  /** @param {RequestError} error */
  retryLater({ status }) {
    this.trouble = status === 401 ? 'signed out' : status >= 500 ? 'server' : 'offline';
    this.reportState();
    this.timer = setTimeout(() => this.sendSoon(), this.delay);
    this.delay = Math.min(LONGEST_DELAY, this.delay * 2);
  }

  /**
   * @param {string} image
   * @param {Entry} entry
   */
  store(image, entry) {
    this.entries.set(image, entry);
    try {
      getStorage()?.setItem(this.prefix + image, JSON.stringify(entry));
      this.isStored = true;
    } catch {
      this.isStored = false; // no room, or a private window: it is sent all the same, and the page warns before it is left
    }
  }

  /** @param {string} image */
  remove(image) {
    this.entries.delete(image);
    getStorage()?.removeItem(this.prefix + image);
  }

  reportState() {
    const { trouble, isStored } = this;
    this.handlers.onState({ waiting: this.entries.size, trouble, isStored });
  }
}

/**
 * Read a stored entry, also one of an older version of this page.
 * @param {string} text
 * @returns {Entry}
 */
function parseEntry(text) {
  const { version, boxes, isEmpty, empty, nothing, attempts, tried, changedAt, at } = JSON.parse(text);
  return {
    version,
    boxes,
    isEmpty: isEmpty ?? empty ?? nothing ?? false,
    attempts: attempts ?? tried ?? [],
    changedAt: changedAt ?? at,
    isHeld: false,
  };
}

/**
 * A text that is the same for the same boxes in any order.
 * @param {BoxSet} boxSet
 */
export function computeFingerprint({ boxes, isEmpty }) {
  const lines = boxes.map(({ label, x0, y0, x1, y1, difficult }) =>
    [label, x0, y0, x1, y1, Boolean(difficult)].join(' '),
  );
  return `${isEmpty}|${lines.sort().join('|')}`;
}

function getStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

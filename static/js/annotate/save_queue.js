// Boxes on their way to the server. What is not there yet lies in the browser's storage, one entry a photo, and is sent again
// until it has arrived: through a lost connection, a reload, a sign-in.
import { getJson, putJson, Refusal } from '../site/requests.js';

const FIRST_WAIT = 1000; // ms, doubled after every try
const LONGEST_WAIT = 30000;
const SETTLED = [403, 404, 413, 422]; // answers that sending again does not change
const TRIED = 20; // attempts that are remembered, to know our own boxes again

export class Outbox {
  // `urlOf(image)`: where its boxes are. Told: onState({ waiting, trouble }), onSaved(image, answer),
  // onConflict(image, theirs), onRefused(image, message).
  constructor(prefix, urlOf, told) {
    this.prefix = prefix;
    this.urlOf = urlOf;
    this.told = told;
    this.entries = new Map();
    this.wait = FIRST_WAIT;
    this.trouble = '';
    this.load();
    window.addEventListener('online', () => this.again());
    document.addEventListener('visibilitychange', () => document.hidden || this.again());
  }

  load() {
    for (const key of Object.keys(storage() ?? {})) {
      if (key.startsWith(this.prefix))
        this.entries.set(key.slice(this.prefix.length), {
          ...JSON.parse(storage().getItem(key)),
          held: false,
        });
    }
    this.tell();
    this.again();
  }

  waiting(image) {
    return this.entries.get(image) ?? null;
  }

  // `version`: the one that these boxes replace, when none waits already.
  put(image, { version, boxes, empty }) {
    const before = this.entries.get(image);
    this.keep(image, {
      version: before?.version ?? version,
      boxes,
      empty,
      tried: before?.tried ?? [],
      at: Date.now() + Math.random(),
    });
    this.again();
  }

  // Take another version as the one to replace, or (without a version) give up what waits.
  settle(image, version) {
    const entry = this.entries.get(image);
    if (!entry) return;
    if (version === undefined) this.forget(image);
    else this.keep(image, { ...entry, version, held: false });
    this.again();
  }

  again() {
    clearTimeout(this.timer);
    this.tell();
    this.sending ??= this.work().finally(() => {
      this.sending = null;
      if (this.next() && !this.timerSet) this.again();
    });
  }

  next() {
    return [...this.entries].find(([, entry]) => !entry.held);
  }

  async work() {
    this.timerSet = false;
    for (let found = this.next(); found; found = this.next()) {
      try {
        await this.send(...found);
        this.wait = FIRST_WAIT;
        this.trouble = '';
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.later(error);
        return;
      }
      this.tell();
    }
  }

  async send(image, entry) {
    const { version, boxes, empty } = entry;
    this.keep(image, { ...entry, tried: [...entry.tried, fingerprint(entry)].slice(-TRIED) });
    try {
      const answer = await putJson(this.urlOf(image), { version, boxes, empty });
      this.arrived(image, entry, answer);
    } catch (error) {
      if (error.status === 409) return this.conflict(image);
      if (!SETTLED.includes(error.status)) throw error; // not now: kept, and sent again
      // What may not be saved now may be after a reload; what is no box, or has no photo, never.
      if (error.status === 403) this.keep(image, { ...this.entries.get(image), held: true });
      else this.forget(image);
      this.told.onRefused(image, error.message);
    }
    return null;
  }

  arrived(image, sent, answer) {
    const present = this.entries.get(image);
    if (present?.at === sent.at) this.forget(image);
    else if (present) this.keep(image, { ...present, version: answer.version, tried: [] });
    this.told.onSaved(image, answer);
  }

  // An answer of ours may have been lost: then what is there is what we sent. Otherwise somebody else was here.
  async conflict(image) {
    const theirs = await getJson(this.urlOf(image));
    const entry = this.entries.get(image);
    if (!entry) return;
    const ours = entry.tried.includes(
      fingerprint({ boxes: theirs.boxes, empty: theirs.state === 'empty' }),
    );
    this.keep(image, { ...entry, ...(ours ? { version: theirs.version, tried: [] } : { held: true }) });
    if (!ours) this.told.onConflict(image, theirs);
  }

  later(error) {
    this.trouble = error.status === 401 ? 'signed out' : error.status >= 500 ? 'server' : 'offline';
    this.tell();
    this.timerSet = true;
    this.timer = setTimeout(() => this.again(), this.wait);
    this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
  }

  keep(image, entry) {
    this.entries.set(image, entry);
    try {
      storage()?.setItem(this.prefix + image, JSON.stringify(entry));
      this.kept = true;
    } catch {
      this.kept = false; // no room, or a private window: it is sent all the same, and the page warns before it is left
    }
  }

  forget(image) {
    this.entries.delete(image);
    storage()?.removeItem(this.prefix + image);
  }

  tell() {
    this.told.onState({ waiting: this.entries.size, trouble: this.trouble, safe: this.kept !== false });
  }
}

// The same boxes in any order.
function fingerprint({ boxes, empty }) {
  const lines = boxes.map((box) =>
    [box.label, box.x0, box.y0, box.x1, box.y1, Boolean(box.difficult)].join(' '),
  );
  return `${Boolean(empty)}|${lines.sort().join('|')}`;
}

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

// Looks ahead: asks the detector for boxes on photos that nobody has looked at, one at a time, and knows which teach most.
import { getJson, Refusal } from '../site/requests.js';

const MOST = 300; // photos looked at ahead; the first about a second each
const REST = 5000; // ms after a refusal

export class Scout {
  // `urlOf(image)`: where its proposals are; `waiting()`: ids that nobody has looked at, in order; onSeen(image, proposals).
  constructor(urlOf, waiting, onSeen) {
    Object.assign(this, { urlOf, waiting, onSeen, seen: new Map(), asked: new Map(), failed: new Set() });
  }

  // The proposals for one photo; asked once, also when it is asked for while it is under way.
  ask(image) {
    if (this.seen.has(image)) return Promise.resolve(this.seen.get(image));
    if (!this.asked.has(image))
      this.asked.set(
        image,
        getJson(this.urlOf(image)).finally(() => this.asked.delete(image)),
      );
    return this.asked.get(image).then((found) => {
      this.seen.set(image, found);
      this.onSeen(image, found);
      return found;
    });
  }

  async run() {
    for (;;) {
      const next =
        this.seen.size < MOST && this.waiting().find((id) => !this.seen.has(id) && !this.failed.has(id));
      if (!next) return;
      if (document.hidden) await pause(REST);
      else await this.look(next);
    }
  }

  async look(next) {
    try {
      await this.ask(next);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!error.temporary) this.failed.add(next);
      await pause(REST);
    }
  }

  // The photo of these with the most to mend; null while none is known.
  best(images) {
    const known = images.filter((id) => this.seen.has(id));
    return known.sort((one, other) => this.seen.get(other).mistakes - this.seen.get(one).mistakes)[0] ?? null;
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Prelabels of images that nobody has annotated: fetched ahead, one at a time, and compared by how much they need correcting.
import { getJson, RequestError } from '../site/requests.js';

const LIMIT = 300; // images that are prelabelled ahead; the first ones take about a second each
const PAUSE = 5000; // ms after a failure, and between two looks of a hidden page

/**
 * @typedef {object} Prelabels as REST gives them
 * @property {(import('./boxes.js').Corners & { label: string, score: number })[]} boxes
 * @property {number} expected_corrections how many boxes will have to be corrected
 */

export class PrelabelLoader {
  /**
   * @param {(image: string) => string} getUrl
   * @param {() => string[]} listWaiting images that nobody has annotated, in the order in which they are wanted
   * @param {() => void} onLoaded
   */
  constructor(getUrl, listWaiting, onLoaded) {
    this.getUrl = getUrl;
    this.listWaiting = listWaiting;
    this.onLoaded = onLoaded;
    /** @type {Map<string, Prelabels>} */
    this.loaded = new Map();
    /** @type {Map<string, Promise<Prelabels>>} */
    this.requested = new Map();
    /** @type {Set<string>} */
    this.failed = new Set();
    /** @type {Promise<void> | null} */
    this.running = null;
  }

  /**
   * Load the prelabels of an image; one request, however often it is asked for.
   * @param {string} image
   * @returns {Promise<Prelabels>}
   */
  async load(image) {
    const known = this.loaded.get(image);
    if (known) return known;
    let request = this.requested.get(image);
    if (!request) {
      request = getJson(this.getUrl(image)).finally(() => this.requested.delete(image));
      this.requested.set(image, request);
    }
    const prelabels = await request;
    this.loaded.set(image, prelabels);
    this.onLoaded();
    return prelabels;
  }

  /** Load ahead until every waiting image is known; does nothing while it runs. */
  loadAhead() {
    this.running ??= this.loadWaiting().finally(() => {
      this.running = null;
    });
  }

  async loadWaiting() {
    for (;;) {
      const isNew = (/** @type {string} */ image) => !this.loaded.has(image) && !this.failed.has(image);
      const next = this.loaded.size < LIMIT ? this.listWaiting().find(isNew) : undefined;
      if (next === undefined) return;
      if (document.hidden) await pause();
      else await this.tryLoad(next);
    }
  }

  /** @param {string} image */
  async tryLoad(image) {
    try {
      await this.load(image);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (!error.isTemporary) this.failed.add(image);
      await pause();
    }
  }

  /** @param {string[]} images */
  countLoaded(images) {
    return images.filter((image) => this.loaded.has(image)).length;
  }

  /**
   * Find the image with the most expected corrections; undefined while none is known.
   * @param {string[]} images
   * @returns {string | undefined}
   */
  findMostUseful(images) {
    const countCorrections = (/** @type {string} */ image) =>
      this.loaded.get(image)?.expected_corrections ?? 0;
    const known = images.filter((image) => this.loaded.has(image));
    return known.sort((one, other) => countCorrections(other) - countCorrections(one))[0];
  }
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, PAUSE));
}

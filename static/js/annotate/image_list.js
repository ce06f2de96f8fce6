// The images of the project in their order: which one is open, and which are still to be annotated.

/**
 * @typedef {'unlabelled' | 'boxes' | 'empty'} ImageState
 * @typedef {{ id: string, state: ImageState }} ListedImage
 */

export class ImageList {
  /**
   * @param {ListedImage[]} images
   * @param {string} start id of the image that is open
   */
  constructor(images, start) {
    this.images = images;
    this.position = Math.max(0, this.findPosition(start));
    /** @type {Set<string>} */
    this.skipped = new Set(); // left unlabelled by “Next unlabelled”, which comes back to them last
  }

  get current() {
    return this.images[this.position];
  }

  get countDone() {
    return this.images.filter(({ state }) => state !== 'unlabelled').length;
  }

  /** @param {string} id */
  findPosition(id) {
    return this.images.findIndex((image) => image.id === id);
  }

  /** The next images, which a user is likely to open. */
  listNext(count = 2) {
    return this.images.slice(this.position + 1, this.position + 1 + count);
  }

  /** Ids of the unlabelled images, from the open one onwards, then from the start. */
  listUnlabelled() {
    const ordered = [...this.images.slice(this.position), ...this.images.slice(0, this.position)];
    return ordered.filter(({ state }) => state === 'unlabelled').map(({ id }) => id);
  }

  /**
   * Skip the open image and find the unlabelled one to open next; undefined when there is no other.
   * @param {(ids: string[]) => string | undefined} choose prefers one of several; undefined takes the first
   */
  findNextUnlabelled(choose) {
    const { id } = this.current;
    this.skipped.add(id);
    const left = this.listUnlabelled().filter((other) => other !== id);
    if (left.every((other) => this.skipped.has(other))) this.skipped.clear();
    const fresh = left.filter((other) => !this.skipped.has(other));
    return choose(fresh) ?? fresh[0];
  }

  /** @param {number} position */
  remove(position) {
    this.images.splice(position, 1);
  }

  /**
   * @param {number} position
   * @param {ListedImage} image
   */
  insert(position, image) {
    this.images.splice(position, 0, image);
  }
}

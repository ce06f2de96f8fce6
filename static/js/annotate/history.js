// The states of an image before the present one, and those that were undone.

const LENGTH = 200; // states

/** @template T */
export class History {
  constructor() {
    /** @type {T[]} */
    this.past = [];
    /** @type {T[]} */
    this.future = [];
  }

  /**
   * Remember a state that is about to change.
   * @param {T} state
   */
  record(state) {
    this.past = [...this.past, state].slice(-LENGTH);
    this.future = [];
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /**
   * Return the state before the present one; null when there is none.
   * @param {T} present
   */
  undo(present) {
    return this.exchange(this.past, present, this.future);
  }

  /**
   * Return the state that was undone last; null when there is none.
   * @param {T} present
   */
  redo(present) {
    return this.exchange(this.future, present, this.past);
  }

  /**
   * @param {T[]} source
   * @param {T} present
   * @param {T[]} destination
   * @returns {T | null}
   */
  exchange(source, present, destination) {
    const state = source.pop();
    if (state === undefined) return null;
    destination.push(present);
    return state;
  }
}

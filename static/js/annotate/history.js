// What a photo looked like before, and after what was undone.
const STEPS = 200;

export class Past {
  constructor() {
    this.before = [];
    this.after = [];
  }

  note(state) {
    this.before.push(state);
    this.before.splice(0, this.before.length - STEPS);
    this.after = [];
  }

  get canUndo() {
    return this.before.length > 0;
  }

  get canRedo() {
    return this.after.length > 0;
  }

  back(present, become) {
    if (!this.canUndo) return;
    this.after.push(present);
    become(this.before.pop());
  }

  forth(present, become) {
    if (!this.canRedo) return;
    this.before.push(present);
    become(this.after.pop());
  }
}

// The annotation page's state: the open image, its annotations and their history, and every action on them.
import { fillUrl, query, setText } from '../site/dom.js';
import { getJson, getMessage, RequestError } from '../site/requests.js';
import { showToast } from '../site/toast.js';
import * as annotating from './annotations.js';
import { BoxPanel } from './box_panel.js';
import * as geometry from './boxes.js';
import { BoxCanvas } from './canvas.js';
import { History } from './history.js';
import { ImageList } from './image_list.js';
import { PrelabelLoader } from './prelabels.js';
import { SaveQueue } from './save_queue.js';
import { describeQueue } from './save_status.js';
import { Toolbar } from './toolbar.js';

const LABEL_LENGTH = 120;

/**
 * @typedef {import('./annotations.js').Annotations} Annotations
 * @typedef {import('./boxes.js').Box} Box
 * @typedef {import('./boxes.js').Corners} Corners
 * @typedef {import('./save_queue.js').BoxRecord} BoxRecord
 */

export class BoxEditor {
  /**
   * @param {HTMLElement} page with the addresses of REST
   * @param {[string, import('./image_list.js').ImageState][]} images
   * @param {string[]} labels
   */
  constructor(page, images, labels) {
    this.urls = page.dataset;
    this.page = page;
    this.mayEdit = page.dataset.mayEdit === 'yes';
    this.images = new ImageList(
      images.map(([id, state]) => ({ id, state })),
      page.dataset.start ?? '',
    );
    this.labels = labels;
    this.label = labels[0] ?? null; // of the next box
    /** @type {BoxRecord | null} */
    this.record = null; // the server's record of the open image
    this.annotations = annotating.NO_ANNOTATIONS;
    /** @type {string | null} */
    this.selected = null;
    /** @type {Map<string, History<Annotations>>} */
    this.histories = new Map();
    /** @type {Map<string, BoxRecord>} */
    this.fetchedRecords = new Map(); // of the next images
    this.toolbar = new Toolbar(page);
    this.canvas = new BoxCanvas(query(document, '#stage'), this.mayEdit, {
      onDrawn: (corners) => this.draw(corners),
      onChanged: (id, corners) => this.edit(id, corners),
      onSelected: (id) => this.select(id),
    });
    this.panel = new BoxPanel(query(document, '#panel'), this.mayEdit, {
      onLabel: (label) => this.chooseLabel(label),
      onNewLabel: () => this.askForLabel(),
      onSelected: (id) => this.select(id),
      onCorners: (id, corners) => this.edit(id, geometry.limitCorners(corners, this.size)),
      onDifficult: (id, difficult) => this.edit(id, { difficult }),
      onRemove: (id) => this.remove(id),
      onAccept: (id) => this.change(annotating.acceptPrelabels(this.annotations, id)),
    });
    const prefix = `graft boxes ${page.dataset.user} ${page.dataset.project} `;
    this.queue = new SaveQueue(prefix, (id) => fillUrl(this.urls.boxes, id), {
      onState: (state) => this.toolbar.showQueue(describeQueue(state), state.trouble),
      onSaved: (id, { version }) => {
        if (this.record?.image === id) this.record = { ...this.record, version };
      },
      onConflict: (id, theirs) => this.askAboutConflict(id, theirs),
      onRefused: (id, message) =>
        showToast(message, {
          isError: true,
          actions: [{ name: 'Show what is saved', run: () => this.reload(id) }],
        }),
    });
    this.prelabels = this.createPrelabelLoader();
  }

  createPrelabelLoader() {
    const { prelabels } = this.urls;
    if (!this.mayEdit || !prelabels) return null;
    const listWaiting = () => this.images.listUnlabelled();
    return new PrelabelLoader(
      (id) => fillUrl(prelabels, id),
      listWaiting,
      () => this.showPrelabelCount(),
    );
  }

  get size() {
    return this.record ?? { width: 0, height: 0 };
  }

  get currentHistory() {
    return this.histories.get(this.images.current.id);
  }

  get selectedBox() {
    return annotating.findBox(this.annotations, this.selected);
  }

  // --- The open image ---------------------------------------------------------------------------------------------

  /**
   * Open an image of the list.
   * @param {number} position
   * @param {{ isNewPage?: boolean }} [options] whether the browser's history gets an entry
   */
  async open(position, { isNewPage = true } = {}) {
    const image = this.images.images[position];
    if (!image) return;
    this.images.position = position;
    this.page.classList.add('opening');
    if (isNewPage) history.pushState(null, '', fillUrl(this.urls.here, image.id));
    try {
      const [record, isShown] = await Promise.all([
        this.fetchedRecords.get(image.id) ?? getJson(fillUrl(this.urls.boxes, image.id)),
        this.canvas.open(fillUrl(this.urls.content, image.id), `Photo ${position + 1}`),
      ]);
      if (!isShown || this.images.current !== image) return;
      this.fetchedRecords.clear();
      this.showRecord(record);
      this.fetchNext();
      this.propose(image);
    } catch (error) {
      if (this.images.current !== image) return;
      const retry = { name: 'Try again', run: () => this.open(position, { isNewPage: false }) };
      showToast(`This photo cannot be shown. ${getMessage(error)}`, { isError: true, actions: [retry] });
    } finally {
      this.page.classList.remove('opening');
    }
  }

  /** @param {BoxRecord} record */
  showRecord(record) {
    const waiting = this.queue.get(record.image);
    const boxes = (waiting?.boxes ?? record.boxes).map(geometry.createBox);
    this.record = record;
    this.annotations = {
      boxes,
      isEmpty: waiting ? waiting.isEmpty : record.state === 'empty',
      prelabels: [],
    };
    for (const { label } of boxes) this.addLabel(label);
    this.selected = null;
    this.show();
  }

  /** Fetch the next images, so that annotating goes on for a while without a connection. */
  fetchNext() {
    for (const { id } of this.images.listNext()) {
      new Image().src = fillUrl(this.urls.content, id);
      getJson(fillUrl(this.urls.boxes, id)).then(
        (record) => this.fetchedRecords.set(id, record),
        () => {}, // it is fetched again when it is opened
      );
    }
  }

  /**
   * Show prelabels where no person has annotated anything.
   * @param {import('./image_list.js').ListedImage} image
   */
  async propose(image) {
    if (!this.prelabels || image.state !== 'unlabelled') return;
    try {
      const { boxes } = await this.prelabels.load(image.id);
      const isUntouched = image.state === 'unlabelled' && !this.annotations.boxes.length;
      if (this.images.current !== image || !isUntouched || this.histories.has(image.id)) return;
      this.annotations = { ...this.annotations, prelabels: boxes.map(geometry.createBox) };
      this.show();
    } catch (error) {
      if (error instanceof RequestError && error.isTemporary) return;
      showToast(`No prelabels: ${getMessage(error)}`, { isError: true });
    } finally {
      this.prelabels.loadAhead();
    }
  }

  /** @param {string} id */
  reload(id) {
    this.histories.delete(id);
    this.open(this.images.findPosition(id), { isNewPage: false });
  }

  show({ withHandles = false } = {}) {
    const { annotations, images, labels, label, record, selected } = this;
    if (!record) return;
    const boxes = [...annotations.boxes, ...annotations.prelabels].map((box) => ({
      ...box,
      colour: labels.indexOf(box.label),
    }));
    this.canvas.show(boxes, selected, { withHandles });
    this.panel.show({ boxes, selected, label, labels, size: record });
    this.toolbar.show(images, record, annotations, this.currentHistory);
    this.showPrelabelCount();
  }

  showPrelabelCount() {
    if (!this.prelabels) return;
    const waiting = this.images.listUnlabelled();
    const words = `${this.prelabels.countLoaded(waiting)} of ${waiting.length} unlabelled photos have prelabels.`;
    setText(query(this.page, '#prelabelled'), words);
  }

  // --- Changes ----------------------------------------------------------------------------------------------------

  /**
   * Change the annotations: the state before is kept for undo, the new one is shown and saved.
   * @param {Annotations} annotations
   * @param {{ withHandles?: boolean }} [options]
   */
  change(annotations, options) {
    if (!this.mayEdit || !this.record || annotations === this.annotations) return;
    const { id } = this.images.current;
    const states = this.histories.get(id) ?? new History();
    this.histories.set(id, states);
    states.record(this.annotations);
    this.replace(annotations, options);
  }

  /**
   * @param {Annotations | null | undefined} annotations
   * @param {{ withHandles?: boolean }} [options]
   */
  replace(annotations, options) {
    if (!annotations || !this.record) return;
    const before = this.annotations;
    const { boxes, isEmpty } = annotations;
    this.annotations = annotations;
    if (!this.selectedBox) this.selected = null;
    this.images.current.state = boxes.length ? 'boxes' : isEmpty ? 'empty' : 'unlabelled';
    if (!annotating.areStoredAlike(before, annotations)) {
      const { image, version } = this.record;
      this.queue.add(image, version, { boxes: boxes.map(geometry.toStoredBox), isEmpty });
    }
    this.show(options);
  }

  /** @param {Corners} corners */
  draw(corners) {
    if (!this.label && !this.askForLabel()) {
      this.show();
      return;
    }
    const changed = annotating.addBoxes(this.annotations, [{ label: this.label ?? '', ...corners }]);
    this.selected = changed.boxes[changed.boxes.length - 1].id;
    this.change(changed);
  }

  /**
   * @param {string} id
   * @param {Partial<Box>} values
   */
  edit(id, values) {
    const { hasHandles: withHandles } = this.canvas;
    this.change(annotating.editBox(this.annotations, id, values), { withHandles });
  }

  /** @param {string} id */
  remove(id) {
    const { annotations, next } = annotating.removeBox(this.annotations, id);
    this.selected = next;
    this.change(annotations);
  }

  /**
   * @param {number} right
   * @param {number} down
   * @param {boolean} isResize whether only the lower right corner moves
   */
  moveSelected(right, down, isResize) {
    const box = this.selectedBox;
    if (!box || !this.mayEdit) return false;
    const move = isResize ? geometry.resizeBox : geometry.moveBox;
    this.edit(box.id, move(box, right, down, this.size));
    return true;
  }

  /** @param {string | null} id */
  select(id) {
    this.selected = id;
    const box = this.selectedBox;
    if (box) this.label = box.label;
    this.show({ withHandles: box !== null });
  }

  /** @param {string} label */
  chooseLabel(label) {
    this.label = this.addLabel(label);
    if (this.selectedBox) this.edit(this.selectedBox.id, { label });
    else this.show();
  }

  /** @param {number} index */
  chooseLabelAt(index) {
    if (this.mayEdit && this.labels[index] !== undefined) this.chooseLabel(this.labels[index]);
  }

  askForLabel() {
    const answer = window.prompt('What is it? Type a name for the class.')?.normalize('NFC').trim();
    if (!answer) return false;
    this.chooseLabel(answer.slice(0, LABEL_LENGTH));
    return true;
  }

  /** @param {string} label */
  addLabel(label) {
    if (!this.labels.includes(label)) this.labels.push(label);
    return label;
  }

  /**
   * @param {string} id
   * @param {BoxRecord} theirs
   */
  askAboutConflict(id, theirs) {
    const takeTheirs = () => {
      this.queue.discard(id);
      this.reload(id);
    };
    showToast(`Somebody else changed the boxes of “${theirs.name}”.`, {
      isError: true,
      actions: [
        { name: 'Keep mine', run: () => this.queue.overwrite(id, theirs.version) },
        { name: 'Take theirs', run: takeTheirs },
      ],
    });
  }
}

// A photo with boxes on it: drawn, picked, moved and resized by pointer, zoomed. What the boxes mean is the caller's.
import './node_env.js';
import { createImageAnnotator } from '../../vendor/annotorious/annotorious.es.js';

const SVG = 'http://www.w3.org/2000/svg';
const CLOSEST = 16; // times the size at which the whole photo fits
const SMALLEST = 2; // pixels of a side that count as drawn on purpose
const COLOURS = 10; // annotate.css has as many

export class Easel {
  // Told: onDrawn(corners), onChanged(id, corners), onPicked(id or null).
  constructor(stage, { mayEdit, ...told }) {
    Object.assign(this, { stage, mayEdit, told, boxes: [], picked: null, zoom: 1, pointers: new Map() });
    new ResizeObserver(() => this.fit()).observe(stage);
    stage.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    stage.addEventListener('pointerdown', (event) => this.pointerDown(event), { capture: true });
    stage.addEventListener('pointermove', (event) => this.pinch(event), { capture: true });
    // In the capturing phase, because the library lets no end of a drawing pass.
    for (const end of ['pointerup', 'pointercancel'])
      window.addEventListener(end, (event) => this.pointerUp(event), { capture: true });
  }

  async open(url, name) {
    const image = new Image();
    image.alt = name;
    image.draggable = false;
    image.src = url;
    this.opening = image;
    await image.decode();
    if (this.opening !== image) return false; // another photo was asked for meanwhile
    this.close();
    this.stage.append(image);
    this.image = image;
    // Picking is ours: the library takes a press of more than a quarter of a second for no click.
    this.annotator = createImageAnnotator(image, { drawingEnabled: this.mayEdit, userSelectAction: 'NONE' });
    this.annotator.element.classList.add('easel');
    this.layer = this.annotator.element.querySelector('.a9s-annotationlayer');
    this.layer.setAttribute('aria-label', 'The photo and its boxes');
    this.paint = document.createElementNS(SVG, 'svg');
    this.paint.setAttribute('class', 'paint');
    this.paint.setAttribute('viewBox', `0 0 ${image.naturalWidth} ${image.naturalHeight}`);
    this.paint.setAttribute('aria-hidden', 'true');
    this.annotator.element.insertBefore(this.paint, this.layer);
    this.annotator.state.store.observe((event) => this.seen(event));
    this.zoom = 1;
    this.fit();
    return true;
  }

  close() {
    this.annotator?.destroy();
    this.stage.replaceChildren();
    this.annotator = null;
  }

  // Boxes { id, label, colour, x0, y0, x1, y1, difficult, score }; `handles`: the picked one gets them.
  show(boxes, picked, { handles = false } = {}) {
    this.boxes = boxes;
    this.picked = picked;
    this.quietly(() => {
      this.annotator.setAnnotations(boxes.map(toAnnotation), true);
      if (handles && picked) this.annotator.setSelected(picked, this.mayEdit);
      else this.annotator.cancelSelected();
    });
    this.handles = handles && Boolean(picked);
    this.repaint();
    setTimeout(() => this.nameHandles());
  }

  quietly(action) {
    this.quiet = true;
    try {
      action();
    } finally {
      this.quiet = false;
    }
  }

  seen({ changes }) {
    if (this.quiet) return;
    for (const annotation of changes.created ?? []) {
      // The library still picks the new box after this; ours takes its place when it is done.
      setTimeout(() => this.drawn(annotation));
    }
    for (const { newValue } of changes.updated ?? []) {
      const box = this.boxes.find(({ id }) => id === newValue.id);
      if (!box) continue;
      this.dirty = { ...box, ...this.corners(newValue) };
      this.repaint(this.dirty);
    }
  }

  drawn(annotation) {
    const corners = this.corners(annotation);
    const wanted = !this.clicked && Math.min(corners.x1 - corners.x0, corners.y1 - corners.y0) >= SMALLEST;
    if (wanted) this.told.onDrawn(corners);
    else this.show(this.boxes, this.picked, { handles: this.handles });
  }

  corners({
    target: {
      selector: { geometry },
    },
  }) {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const { x, y, w, h } = geometry;
    return {
      x0: inside(x, width),
      y0: inside(y, height),
      x1: inside(x + w, width),
      y1: inside(y + h, height),
    };
  }

  repaint(changed = null) {
    const scale = this.image.naturalWidth / this.image.clientWidth || 1;
    this.paint.replaceChildren(
      ...this.boxes.map((box) => this.shape(box.id === changed?.id ? changed : box, scale)),
    );
  }

  shape(box, scale) {
    const group = document.createElementNS(SVG, 'g');
    const kind = [
      box.score === undefined ? 'drawn' : 'proposed',
      box.difficult ? 'difficult' : '',
      box.id === this.picked ? 'picked' : '',
    ];
    group.setAttribute('class', `box c${box.colour % COLOURS} ${kind.join(' ')}`);
    const frame = document.createElementNS(SVG, 'rect');
    const sides = {
      x: box.x0,
      y: box.y0,
      width: Math.max(0, box.x1 - box.x0),
      height: Math.max(0, box.y1 - box.y0),
    };
    for (const [name, value] of Object.entries(sides)) frame.setAttribute(name, value);
    group.append(frame);
    // Names of small boxes would cover their neighbours; the colour tells, and a picked box has its name.
    const room = (box.x1 - box.x0) / scale > 7 * box.label.length * 0.7;
    if (room || box.id === this.picked) group.append(...this.tag(box, scale));
    return group;
  }

  // The name above the box, or inside where there is no room above; it keeps its size on the screen.
  tag(box, scale) {
    const text = document.createElementNS(SVG, 'text');
    text.textContent = box.score === undefined ? box.label : `${box.label} ${Math.round(100 * box.score)} %`;
    text.setAttribute('font-size', 12 * scale);
    text.setAttribute('x', box.x0 + 4 * scale);
    text.setAttribute('y', box.y0 > 17 * scale ? box.y0 - 5 * scale : box.y0 + 13 * scale);
    const ground = document.createElementNS(SVG, 'rect');
    ground.setAttribute('class', 'ground');
    const sides = {
      x: box.x0,
      y: box.y0 > 17 * scale ? box.y0 - 17 * scale : box.y0,
      width: (text.textContent.length * 7.4 + 8) * scale,
      height: 17 * scale,
    };
    for (const [name, value] of Object.entries(sides)) ground.setAttribute(name, value);
    return [ground, text];
  }

  // The library's handles are buttons without a name; keys and numbers do their work for whoever has no pointer.
  nameHandles() {
    for (const handle of this.layer?.querySelectorAll('[role=button]') ?? []) {
      handle.setAttribute('aria-label', 'Corner');
      handle.setAttribute('tabindex', '-1');
    }
  }

  pointerDown(event) {
    if (!this.annotator || event.button > 0) return;
    if (this.stage.classList.contains('hand')) {
      if (event.pointerType === 'mouse') this.grip = event; // fingers scroll by themselves
      return;
    }
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 2) {
      event.stopPropagation();
      this.annotator.cancelDrawing();
      this.gap = this.between();
      this.press = null;
      return;
    }
    const onLayer = this.layer.contains(event.target) && !event.target.closest('.selected');
    if (!onLayer || event.again) return;
    if (event.isTrusted) this.layer.setPointerCapture(event.pointerId);
    this.press = event;
    if (!this.handles) return;
    // While a box has handles the library draws nothing: let go of it, then let it see this press again.
    event.stopPropagation();
    this.told.onPicked(null);
    setTimeout(() => {
      const { clientX, clientY, pointerId, pointerType } = event;
      const press = new PointerEvent('pointerdown', {
        bubbles: true,
        clientX,
        clientY,
        pointerId,
        pointerType,
        isPrimary: true,
      });
      press.again = true;
      this.layer.dispatchEvent(press);
    });
  }

  pointerUp(event) {
    this.pointers.delete(event.pointerId);
    this.gap = this.grip = null;
    this.clicked = Boolean(this.press) && this.isStill(event);
    if (this.clicked) this.pickAt(event);
    this.press = null;
    const changed = this.dirty;
    this.dirty = null;
    const { x0, y0, x1, y1 } = changed ?? {};
    if (changed) setTimeout(() => this.told.onChanged(changed.id, { x0, y0, x1, y1 })); // when the library has let go of it
  }

  isStill({ clientX, clientY, pointerType }) {
    return (
      Math.hypot(clientX - this.press.clientX, clientY - this.press.clientY) <
      (pointerType === 'touch' ? 8 : 3)
    );
  }

  // The smallest box under the pointer: a larger one can be reached beside it.
  pickAt({ clientX, clientY }) {
    const frame = this.image.getBoundingClientRect();
    const scale = this.image.naturalWidth / frame.width;
    const [x, y] = [(clientX - frame.x) * scale, (clientY - frame.y) * scale];
    const under = this.boxes.filter(({ x0, y0, x1, y1 }) => x0 <= x && x <= x1 && y0 <= y && y <= y1);
    const id = under.sort((one, other) => area(one) - area(other))[0]?.id ?? null;
    if (id !== this.picked || (id && !this.handles)) setTimeout(() => this.told.onPicked(id)); // when the library is done
  }

  // Two fingers move and zoom.
  pinch(event) {
    if (this.grip) {
      this.stage.scrollBy(this.grip.clientX - event.clientX, this.grip.clientY - event.clientY);
      this.grip = event;
    }
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size !== 2) return;
    event.stopPropagation();
    const now = this.between();
    if (this.gap) {
      this.stage.scrollLeft -= now.x - this.gap.x;
      this.stage.scrollTop -= now.y - this.gap.y;
      if (this.gap.gap > 0) this.zoomBy(now.gap / this.gap.gap, now);
    }
    this.gap = now;
  }

  between() {
    const [one, two] = [...this.pointers.values()];
    const gap = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    return { gap, x: (one.clientX + two.clientX) / 2, y: (one.clientY + two.clientY) / 2 };
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, { x: event.clientX, y: event.clientY });
  }

  // `at`: the point of the window that stays where it is; otherwise the middle.
  zoomBy(factor, at = null) {
    if (!this.image) return;
    const frame = this.stage.getBoundingClientRect();
    const { x, y } = at ?? { x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 };
    const before = this.image.getBoundingClientRect();
    const [left, top] = [(x - before.x) / before.width, (y - before.y) / before.height];
    this.zoom = Math.min(CLOSEST, Math.max(1, this.zoom * factor));
    this.fit();
    const after = this.image.getBoundingClientRect();
    this.stage.scrollLeft += after.x + left * after.width - x;
    this.stage.scrollTop += after.y + top * after.height - y;
  }

  whole() {
    this.zoom = 1;
    this.fit();
  }

  fit() {
    if (!this.image?.naturalWidth) return;
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const fitting = Math.min(this.stage.offsetWidth / width, this.stage.offsetHeight / height);
    const wanted = `${Math.max(1, Math.floor(width * fitting * this.zoom))}px`;
    if (this.image.style.width !== wanted) this.image.style.width = wanted;
    if (this.paint) this.repaint();
  }

  // One hand on the photo: pointers scroll it instead of drawing.
  hold(on) {
    this.stage.classList.toggle('hand', on);
  }
}

function area({ x0, y0, x1, y1 }) {
  return (x1 - x0) * (y1 - y0);
}

function toAnnotation({ id, x0, y0, x1, y1 }) {
  const geometry = {
    x: x0,
    y: y0,
    w: x1 - x0,
    h: y1 - y0,
    rot: 0,
    bounds: { minX: x0, minY: y0, maxX: x1, maxY: y1 },
  };
  return { id, bodies: [], target: { annotation: id, selector: { type: 'RECTANGLE', geometry } } };
}

// A hundredth of a pixel is as fine as anyone draws; the server keeps these digits exactly.
function inside(value, side) {
  return Math.round(100 * Math.min(Math.max(value, 0), side)) / 100;
}

// Beside the photo: the classes with their digits, and the boxes, each with exact numbers.
const COLOURS = 10; // annotate.css has as many
const SIDES = [
  ['x0', 'Left'],
  ['y0', 'Top'],
  ['x1', 'Right'],
  ['y1', 'Bottom'],
];

export class BoxPanel {
  // Told: onLabel(name), onNewLabel(), onPick(id), onCorners(id, corners), onDifficult(id, yes), onRemove(id), onAccept(id).
  constructor(panel, { mayEdit, ...told }) {
    Object.assign(this, { panel, mayEdit, told });
    this.classes = panel.querySelector('.picks');
    this.list = panel.querySelector('.boxes');
    this.details = panel.querySelector('.details');
    this.classes.addEventListener('click', (event) => this.clickedClass(event));
    this.list.addEventListener('click', (event) => this.clickedBox(event));
    this.details.addEventListener('change', (event) => this.changed(event));
    this.details.addEventListener('click', (event) => this.clickedDetail(event));
    panel.querySelector('.new-class')?.addEventListener('click', () => told.onNewLabel());
  }

  show({ boxes, picked, label, labels, width, height }) {
    const box = boxes.find(({ id }) => id === picked) ?? null;
    this.box = box;
    const active = box?.label ?? label;
    this.classes.replaceChildren(
      ...labels.map((name, index) => this.classLine(name, index, name === active, boxes)),
    );
    const focused = this.list.contains(document.activeElement);
    this.list.replaceChildren(...boxes.map((one) => this.boxLine(one, one.id === picked)));
    if (focused)
      (this.list.querySelector('[aria-pressed=true]') ?? this.list.querySelector('button'))?.focus();
    this.panel.querySelector('.none').hidden = boxes.length > 0;
    this.panel.querySelector('.no-class').hidden = labels.length > 0;
    this.panel.querySelector('.proposals').hidden = !boxes.some(({ score }) => score !== undefined);
    this.details.hidden = !box;
    if (box) this.fill(box, width, height);
  }

  classLine(name, index, active, boxes) {
    const line = clone('class-line');
    const button = line.querySelector('button');
    button.dataset.label = name;
    button.disabled = !this.mayEdit;
    button.setAttribute('aria-pressed', String(active));
    line.querySelector('.swatch').classList.add(`c${index % COLOURS}`);
    line.querySelector('.name').textContent = name;
    const digit = line.querySelector('kbd');
    digit.textContent = index < 9 ? index + 1 : '';
    digit.hidden = index >= 9;
    const here = boxes.filter((box) => box.label === name && box.score === undefined).length;
    line.querySelector('.count').textContent = here || '';
    return line;
  }

  boxLine(box, isPicked) {
    const line = clone('box-line');
    const button = line.querySelector('button');
    button.dataset.id = box.id;
    button.setAttribute('aria-pressed', String(isPicked));
    line
      .querySelector('.swatch')
      .classList.add(`c${box.colour % COLOURS}`, box.score === undefined ? 'drawn' : 'proposed');
    line.querySelector('.name').textContent = box.label;
    const size = `${Math.round(box.x1 - box.x0)} × ${Math.round(box.y1 - box.y0)}`;
    const sure = box.score === undefined ? '' : `${Math.round(100 * box.score)} % · `;
    line.querySelector('.size').textContent = `${sure}${size}${box.difficult ? ' · difficult' : ''}`;
    return line;
  }

  fill(box, width, height) {
    for (const [side] of SIDES) {
      const input = this.details.querySelector(`[name=${side}]`);
      input.max = side.startsWith('x') ? width : height;
      input.value = box[side];
      input.disabled = !this.mayEdit;
    }
    this.details.querySelector('[name=difficult]').checked = box.difficult;
    this.details.querySelector('.take').hidden = box.score === undefined;
  }

  clickedClass(event) {
    const button = event.target.closest('button');
    if (!button) return;
    this.told.onLabel(button.dataset.label);
    this.classes.querySelector('[aria-pressed=true]')?.focus();
  }

  clickedBox(event) {
    const button = event.target.closest('button');
    if (!button) return;
    const { id } = button.dataset;
    this.told.onPick(id);
    this.list.querySelector(`[data-id="${id}"]`)?.focus();
  }

  changed(event) {
    if (event.target.name === 'difficult') {
      this.told.onDifficult(this.box.id, event.target.checked);
      return;
    }
    const corners = Object.fromEntries(
      SIDES.map(([side]) => [side, this.details.querySelector(`[name=${side}]`).valueAsNumber]),
    );
    if (Object.values(corners).every(Number.isFinite)) this.told.onCorners(this.box.id, corners);
    else this.fill(this.box);
  }

  clickedDetail(event) {
    if (event.target.closest('.remove')) this.told.onRemove(this.box.id);
    if (event.target.closest('.take')) this.told.onAccept(this.box.id);
  }
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

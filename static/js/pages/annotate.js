// Labelling: one photo after the other, boxes drawn on it, everything saved at once.
import { BoxPanel } from '../annotate/box_panel.js';
import { Easel } from '../annotate/canvas.js';
import { Past } from '../annotate/history.js';
import { Scout } from '../annotate/prelabels.js';
import { Outbox } from '../annotate/save_queue.js';
import { getJson, postJson } from '../site/requests.js';
import { toast } from '../site/toast.js';

const page = document.getElementById('label');
const { project, user, boxes: boxesAt, content: contentAt, here: pageAt } = page.dataset;
const mayEdit = page.dataset.mayEdit === 'yes';
const images = JSON.parse(document.getElementById('images').textContent).map(([id, state]) => ({
  id,
  state,
}));
const labels = JSON.parse(document.getElementById('labels').textContent);
const easel = new Easel(document.getElementById('stage'), { mayEdit, onDrawn, onChanged, onPicked });
const panel = new BoxPanel(document.getElementById('panel'), {
  mayEdit,
  onLabel,
  onNewLabel,
  onPick: (id) => pick(id, true),
  onCorners,
  onDifficult,
  onRemove,
  onAccept,
});
const outbox = new Outbox(`graft boxes ${user} ${project} `, (id) => at(boxesAt, id), {
  onState,
  onSaved,
  onConflict,
  onRefused,
});
const scout =
  mayEdit && page.dataset.proposals
    ? new Scout((id) => at(page.dataset.proposals, id), unseen, onSeen)
    : null;
const pasts = new Map(); // image -> Past
const ahead = new Map(); // image -> the server's record, fetched before it is asked for
const passedBy = new Set(); // left without a word by “Next to do”: it comes back to them when it has been everywhere
let place = Math.max(
  0,
  images.findIndex(({ id }) => id === page.dataset.start),
);
let info = null; // the server's record of the photo that is shown
let state = { boxes: [], empty: false, proposals: [] };
let picked = null;
let label = labels[0] ?? null; // of the next box
let counter = 0;
let scouting = null;

open(place, { push: false });
window.addEventListener('popstate', () =>
  open(
    Math.max(
      0,
      images.findIndex(({ id }) => location.pathname.includes(id)),
    ),
    { push: false },
  ),
);
window.addEventListener(
  'beforeunload',
  (event) => outbox.kept === false && outbox.entries.size && event.preventDefault(),
);

// --- One photo ------------------------------------------------------------------------------------------------------
async function open(index, { push = true } = {}) {
  const image = images[index];
  if (!image) return;
  place = index;
  page.classList.add('opening');
  if (push) history.pushState(null, '', at(pageAt, image.id));
  try {
    const [record, shown] = await Promise.all([
      ahead.get(image.id) ?? getJson(at(boxesAt, image.id)),
      easel.open(at(contentAt, image.id), `Photo ${index + 1}`),
    ]);
    if (!shown || images[place] !== image) return;
    info = record;
    ahead.clear();
    const waiting = outbox.waiting(image.id);
    state = {
      boxes: (waiting?.boxes ?? record.boxes).map(own),
      empty: waiting ? waiting.empty : record.state === 'empty',
      proposals: [],
    };
    for (const { label: name } of state.boxes) know(name);
    picked = null;
    show();
    fetchAhead();
    propose(image);
  } catch (error) {
    if (images[place] === image)
      toast(`This photo cannot be shown. ${error.message}`, {
        bad: true,
        action: 'Try again',
        onAction: () => open(index, { push: false }),
      });
  } finally {
    page.classList.remove('opening');
  }
}

// What the detector sees, where no person has said anything.
async function propose(image) {
  if (!scout || image.state !== 'unlabelled') return;
  try {
    const found = await scout.ask(image.id);
    if (images[place] !== image || image.state !== 'unlabelled' || state.boxes.length || pasts.has(image.id))
      return;
    state = { ...state, proposals: found.boxes.map((box) => own({ ...box, difficult: false })) };
    show();
  } catch (error) {
    if (!error.temporary) toast(`No proposals: ${error.message}`, { bad: true });
  } finally {
    scouting ??= scout.run().finally(() => (scouting = null));
  }
}

function unseen() {
  return [...images.slice(place), ...images.slice(0, place)]
    .filter((image) => image.state === 'unlabelled')
    .map(({ id }) => id);
}

function onSeen() {
  if (!scout) return;
  set(
    '#scouted',
    `${unseen().filter((id) => scout.seen.has(id)).length} of ${unseen().length} photos to do were looked at ahead.`,
  );
}

// So that labelling goes on for a while without a connection.
function fetchAhead() {
  for (const next of images.slice(place + 1, place + 3)) {
    new Image().src = at(contentAt, next.id);
    getJson(at(boxesAt, next.id)).then(
      (record) => ahead.set(next.id, record),
      () => {},
    );
  }
}

function show({ handles = false } = {}) {
  const image = images[place];
  const all = [...state.boxes, ...state.proposals].map((box) => ({
    ...box,
    colour: labels.indexOf(box.label),
  }));
  easel.show(all, picked, { handles });
  panel.show({ boxes: all, picked, label, labels, width: info.width, height: info.height });
  set('#place', `${place + 1} of ${images.length}`);
  set('#name', info.name.split('/').at(-1));
  set('#done', `${images.filter((one) => one.state !== 'unlabelled').length} of ${images.length} done`);
  page.querySelector('#state').dataset.state = image.state;
  set(
    '#state',
    {
      unlabelled: 'Not looked at yet',
      boxes: `${state.boxes.length} box${state.boxes.length === 1 ? '' : 'es'}`,
      empty: 'Nothing here',
    }[image.state],
  );
  page.querySelector('[data-do=empty]')?.setAttribute('aria-pressed', String(state.empty));
  const past = pasts.get(image.id);
  enable('undo', past?.canUndo);
  enable('redo', past?.canRedo);
  enable('previous', place > 0);
  enable('next', place < images.length - 1);
  enable('copy', place > 0);
  onSeen();
}

// Every change: remembered for undo, shown, and on its way.
function change(next, { handles = false } = {}) {
  if (!mayEdit || !info) return;
  const image = images[place];
  if (!pasts.has(image.id)) pasts.set(image.id, new Past());
  pasts.get(image.id).note(state);
  become(next, { handles });
}

function become(next, { handles = false } = {}) {
  const saved = JSON.stringify([state.boxes.map(plain), state.empty]);
  state = next;
  if (!inSight(picked)) picked = null;
  images[place].state = state.boxes.length ? 'boxes' : state.empty ? 'empty' : 'unlabelled';
  if (JSON.stringify([state.boxes.map(plain), state.empty]) !== saved) {
    outbox.put(info.image, { version: info.version, boxes: state.boxes.map(plain), empty: state.empty });
  }
  show({ handles });
}

// --- Actions ----------------------------------------------------------------------------------------------------------
function onDrawn(corners) {
  if (!label && !onNewLabel()) return show();
  const box = own({ label, ...corners, difficult: false });
  picked = box.id;
  return change({ ...state, boxes: [...state.boxes, box], empty: false });
}

function onChanged(id, corners) {
  edit(id, corners);
}

// Boxes keep their place in the list; a proposal that somebody changes is a box from then on.
function edit(id, values) {
  const proposal = state.proposals.find((box) => box.id === id);
  if (proposal) {
    const { score, ...box } = { ...proposal, ...values };
    return change(
      {
        boxes: [...state.boxes, box],
        empty: false,
        proposals: state.proposals.filter((one) => one !== proposal),
      },
      { handles: easel.handles },
    );
  }
  return change(
    { ...state, boxes: state.boxes.map((box) => (box.id === id ? { ...box, ...values } : box)) },
    { handles: easel.handles },
  );
}

function onPicked(id) {
  pick(id, true);
}

function pick(id, handles) {
  picked = id;
  const box = inSight(id);
  if (box) label = box.label;
  show({ handles: handles && Boolean(box) });
}

function onLabel(name) {
  label = know(name);
  if (inSight(picked)) edit(picked, { label });
  else show();
}

function onNewLabel() {
  const name = window.prompt('What is it? A name for the class')?.normalize('NFC').trim().slice(0, 120);
  if (!name) return false;
  label = know(name);
  if (inSight(picked)) edit(picked, { label });
  else if (info) show();
  return true;
}

function onCorners(id, corners) {
  const { width, height } = info;
  const x0 = Math.min(Math.max(0, corners.x0), width - 1);
  const y0 = Math.min(Math.max(0, corners.y0), height - 1);
  edit(id, {
    x0,
    y0,
    x1: Math.min(Math.max(x0 + 1, corners.x1), width),
    y1: Math.min(Math.max(y0 + 1, corners.y1), height),
  });
}

function onDifficult(id, difficult) {
  edit(id, { difficult });
}

function onRemove(id) {
  const all = [...state.boxes, ...state.proposals];
  const index = all.findIndex((box) => box.id === id);
  const without = all.filter((box) => box.id !== id);
  picked = (without[index] ?? without.at(-1))?.id ?? null;
  change({ ...state, boxes: without.filter(isDrawn), proposals: without.filter((box) => !isDrawn(box)) });
}

function onAccept(id) {
  const { proposals } = state;
  const taken = proposals.filter((box) => id === null || box.id === id);
  if (!taken.length) return;
  change({
    boxes: [...state.boxes, ...taken.map(({ score, ...box }) => box)],
    empty: false,
    proposals: proposals.filter((box) => !taken.includes(box)),
  });
}

const ACTIONS = {
  previous: () => open(place - 1),
  next: () => open(place + 1),
  unlabelled: () => {
    passedBy.add(images[place].id);
    const left = unseen().filter((id) => id !== images[place].id);
    if (left.every((id) => passedBy.has(id))) passedBy.clear();
    const fresh = left.filter((id) => !passedBy.has(id));
    const found = scout?.best(fresh) ?? fresh[0];
    if (found) open(images.findIndex(({ id }) => id === found));
    else
      toast(
        images[place].state === 'unlabelled'
          ? 'This is the last photo to do.'
          : 'Every photo has been looked at.',
      );
  },
  undo: () => pasts.get(images[place].id)?.back(state, become),
  redo: () => pasts.get(images[place].id)?.forth(state, become),
  remove: () => picked && onRemove(picked),
  accept: () => onAccept(null),
  acceptOne: () => picked && onAccept(picked),
  reject: () => state.proposals.length && change({ ...state, proposals: [] }),
  empty: () => {
    if (state.boxes.length && !window.confirm('Take the boxes away and say that nothing is here?')) return;
    change({ boxes: [], empty: !state.empty || state.boxes.length > 0, proposals: [] });
  },
  copy: copyPrevious,
  discard,
  draw: () => {
    const { width, height } = info;
    onDrawn({
      x0: Math.round(width * 0.4),
      y0: Math.round(height * 0.4),
      x1: Math.round(width * 0.6),
      y1: Math.round(height * 0.6),
    });
  },
  difficult: () => inSight(picked) && onDifficult(picked, !inSight(picked).difficult),
  larger: () => easel.zoomBy(1.4),
  smaller: () => easel.zoomBy(1 / 1.4),
  whole: () => easel.whole(),
  hand: () => {
    const button = page.querySelector('[data-do=hand]');
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(on));
    easel.hold(on);
  },
  help: () => {
    const dialog = document.getElementById('keys');
    if (dialog.open) dialog.close();
    else dialog.showModal();
  },
};

// Into the trash, and on to the next; the way back is offered.
async function discard() {
  const image = images[place];
  const index = place;
  try {
    await postJson(page.dataset.delete, { ids: [image.id] });
  } catch (error) {
    toast(error.message, { bad: true });
    return;
  }
  outbox.settle(image.id);
  images.splice(index, 1);
  toast('The photo lies in the trash.', {
    action: 'Undo',
    onAction: async () => {
      await postJson(page.dataset.restore, { ids: [image.id] });
      images.splice(index, 0, image);
      open(index);
    },
  });
  if (images.length) open(Math.min(index, images.length - 1));
  else location.assign(page.dataset.home);
}

async function copyPrevious() {
  const before = images[place - 1];
  if (!before) return;
  try {
    const waiting = outbox.waiting(before.id);
    const boxes = (waiting ?? (await getJson(at(boxesAt, before.id)))).boxes;
    const { width, height } = info;
    const there = new Set(state.boxes.map((box) => JSON.stringify(plain(box))));
    const fitting = boxes.map((box) => ({
      ...plain(box),
      x1: Math.min(box.x1, width),
      y1: Math.min(box.y1, height),
    }));
    const fresh = fitting.filter(
      (box) => box.x1 - box.x0 >= 1 && box.y1 - box.y0 >= 1 && !there.has(JSON.stringify(box)),
    );
    if (!fresh.length) return toast('The photo before has no other boxes.');
    change({ ...state, boxes: [...state.boxes, ...fresh.map(own)], empty: false });
  } catch (error) {
    toast(error.message, { bad: true });
  }
  return null;
}

// --- Keys and buttons -----------------------------------------------------------------------------------------------
page.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) ACTIONS[button.dataset.do]();
});
document
  .getElementById('keys')
  .addEventListener('click', (event) => event.target.closest('button') && event.currentTarget.close());

const KEYS = {
  n: 'next',
  p: 'previous',
  u: 'unlabelled',
  e: 'empty',
  c: 'copy',
  b: 'draw',
  x: 'difficult',
  h: 'hand',
  f: 'whole',
  '+': 'larger',
  '=': 'larger',
  '-': 'smaller',
  Delete: 'remove',
  Backspace: 'remove',
  a: 'accept',
  r: 'reject',
  Enter: 'acceptOne',
  '?': 'help',
};
const READING = new Set(['next', 'previous', 'unlabelled', 'hand', 'whole', 'larger', 'smaller', 'help']);

// On the window and first, because the library has an undo of its own, which knows nothing of classes.
window.addEventListener(
  'keydown',
  (event) => {
    if (!info || event.isComposing || document.querySelector('dialog[open]')) return;
    const undoing = (event.ctrlKey || event.metaKey) && ['z', 'y'].includes(event.key.toLowerCase());
    if (event.target.closest('input, select, textarea')) return;
    const taken = undoing ? steer(event) : !event.ctrlKey && !event.metaKey && key(event);
    if (taken) event.preventDefault();
    if (taken || undoing) event.stopPropagation();
  },
  { capture: true },
);

function steer(event) {
  const redo = event.key.toLowerCase() === 'y' || event.shiftKey;
  ACTIONS[redo ? 'redo' : 'undo']();
  return true;
}

function key(event) {
  if (event.key.startsWith('Arrow')) return arrow(event);
  if (event.altKey) return false;
  if (/^[1-9]$/.test(event.key)) {
    const name = labels[event.key - 1];
    if (name && mayEdit) onLabel(name);
    return true;
  }
  if (event.key === 'Escape' && picked) {
    pick(null, false);
    return true;
  }
  // Enter presses the button that has the focus, but on the line of a proposal it accepts that.
  const pressing =
    event.key === 'Enter' && event.target.closest('button, a, summary') && !event.target.closest('.boxes');
  if (event.key === 'Tab' || pressing) return false;
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!action || !(mayEdit || READING.has(action))) return false;
  if (action === 'acceptOne' && isDrawn(inSight(picked) ?? {})) return false;
  ACTIONS[action]();
  return true;
}

// Without a picked box the arrows turn the pages; with one they move it, with Alt they move its lower right corner.
function arrow(event) {
  const box = inSight(picked);
  const [right, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
    event.key
  ];
  if (!box) {
    if (!right || event.altKey) return false;
    ACTIONS[right > 0 ? 'next' : 'previous']();
    return true;
  }
  if (!mayEdit) return false;
  const step = event.shiftKey ? 10 : 1;
  const { width, height } = info;
  const dx = within(right * step, event.altKey ? 1 - (box.x1 - box.x0) : -box.x0, width - box.x1);
  const dy = within(down * step, event.altKey ? 1 - (box.y1 - box.y0) : -box.y0, height - box.y1);
  const start = event.altKey ? {} : { x0: box.x0 + dx, y0: box.y0 + dy };
  edit(box.id, { ...start, x1: box.x1 + dx, y1: box.y1 + dy });
  return true;
}

// --- What the outbox tells ------------------------------------------------------------------------------------------
function onState({ waiting, trouble, safe }) {
  const line = document.getElementById('saved');
  const many = waiting === 1 ? '1 photo' : `${waiting} photos`;
  line.dataset.trouble = trouble;
  if (trouble === 'signed out')
    line.textContent = `You are signed out: sign in again in another tab. The boxes of ${many} wait here.`;
  else if (trouble === 'server')
    line.textContent = `The server has trouble: the boxes of ${many} wait here and are sent again.`;
  else if (trouble)
    line.textContent = `No connection: the boxes of ${many} ${safe ? 'are kept here' : 'are only on this page'} and sent when it is back.`;
  else line.textContent = waiting ? 'Saving …' : 'All saved';
}

function onSaved(id, answer) {
  if (info?.image !== id) return;
  info = { ...info, version: answer.version };
}

function onRefused(id, message) {
  toast(message, { bad: true, action: 'Show what is saved', onAction: () => reload(id) });
}

function onConflict(id, theirs) {
  toast(`Somebody else changed the boxes of “${theirs.name}”.`, {
    bad: true,
    action: 'Keep mine',
    onAction: () => outbox.settle(id, theirs.version),
    other: 'Take theirs',
    onOther: () => {
      outbox.settle(id);
      reload(id);
    },
  });
}

function reload(id) {
  pasts.delete(id);
  open(
    images.findIndex((image) => image.id === id),
    { push: false },
  );
}

// --- Small things ---------------------------------------------------------------------------------------------------
function own(box) {
  counter += 1;
  return { ...plain(box), ...(box.score === undefined ? {} : { score: box.score }), id: `box-${counter}` };
}

function plain({ label: name, x0, y0, x1, y1, difficult }) {
  return { label: name, x0, y0, x1, y1, difficult: Boolean(difficult) };
}

function isDrawn(box) {
  return box.score === undefined;
}

function inSight(id) {
  return [...state.boxes, ...state.proposals].find((box) => box.id === id) ?? null;
}

function know(name) {
  if (!labels.includes(name)) labels.push(name);
  return name;
}

function within(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

function at(address, id) {
  return address.replace('00000000-0000-0000-0000-000000000000', id);
}

function set(selector, text) {
  const element = page.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

function enable(action, on) {
  const button = page.querySelector(`[data-do=${action}]`);
  if (button) button.disabled = !on;
}

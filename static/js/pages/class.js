// All photos of a class: choose many, move them, delete them, take it back.
import { onPress } from '../site/dom.js';
import { postJson } from '../site/requests.js';
import { toast } from '../site/toast.js';

const gallery = document.getElementById('gallery');
const toolbar = document.getElementById('toolbar');
const target = document.getElementById('target');
let anchor = null; // where a range chosen with Shift begins

if (toolbar) {
  gallery.addEventListener('click', choose);
  onPress(document.getElementById('choose-all'), () => setAll(true));
  document.getElementById('choose-none').addEventListener('click', () => setAll(false));
  document.getElementById('delete').addEventListener('click', () => act(remove));
  target?.addEventListener('change', () => act(move));
  tell();
}

function tiles() {
  return [...gallery.querySelectorAll('li:not([hidden])')];
}

function chosen() {
  return tiles().filter((tile) => tile.querySelector('input').checked);
}

function choose(event) {
  const box = event.target.closest('.pick input');
  if (!box) return;
  const all = tiles();
  const here = all.indexOf(box.closest('li'));
  if (event.shiftKey && anchor !== null) {
    const [from, to] = [Math.min(anchor, here), Math.max(anchor, here)];
    for (const tile of all.slice(from, to + 1)) tile.querySelector('input').checked = box.checked;
  }
  anchor = here;
  tell();
}

function setAll(on) {
  for (const tile of tiles()) tile.querySelector('input').checked = on;
  tell();
}

function tell() {
  const count = chosen().length;
  for (const tile of tiles()) tile.classList.toggle('chosen', tile.querySelector('input').checked);
  toolbar.querySelector('.chosen').textContent = count ? `${count} selected` : 'None selected';
  document.getElementById('delete').disabled = !count;
  if (target) target.disabled = !count; // boxes have classes, not whole photos
  document.getElementById('choose-none').hidden = !count;
}

async function act(action) {
  const picked = chosen();
  if (!picked.length) return;
  try {
    await action(picked);
  } catch (error) {
    toast(error.message, { bad: true });
  }
  if (target) target.selectedIndex = 0;
  tell();
}

async function move(picked) {
  const option = target.selectedOptions[0];
  let label = option.dataset.none === undefined ? option.value : null;
  if (option.dataset.new !== undefined) label = window.prompt('Name of the new class')?.trim();
  if (label === undefined || label === '') return;
  const { previous } = await postJson(toolbar.dataset.move, { ids: ids(picked), label });
  if (option.dataset.new !== undefined) target.insertBefore(new Option(label, label), option);
  hide(picked);
  toast(`${photos(picked.length)} moved to ${label ?? 'no class'}.`, {
    action: 'Undo',
    onAction: () => undo(picked, toolbar.dataset.putBack, { previous }),
  });
}

async function remove(picked) {
  await postJson(toolbar.dataset.delete, { ids: ids(picked) });
  hide(picked);
  toast(`${photos(picked.length)} deleted.`, {
    action: 'Undo',
    onAction: () => undo(picked, toolbar.dataset.restore, { ids: ids(picked) }),
  });
}

async function undo(picked, url, values) {
  try {
    await postJson(url, values);
    for (const tile of picked) tile.hidden = false;
    recount(picked.length);
  } catch (error) {
    toast(error.message, { bad: true });
  }
  tell();
}

function hide(picked) {
  for (const tile of picked) {
    tile.hidden = true;
    tile.querySelector('input').checked = false;
  }
  recount(-picked.length);
  anchor = null;
}

function recount(change) {
  const count = document.getElementById('count');
  count.textContent = Number(count.textContent) + change;
}

function ids(picked) {
  return picked.map((tile) => tile.dataset.image);
}

function photos(count) {
  return `${count} photo${count === 1 ? '' : 's'}`;
}

// The next page is fetched when its link comes near; moved photos shift the pages, so known ones are left out.
const watcher = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && load(),
  { rootMargin: '600px' },
);
if (document.getElementById('more')) watcher.observe(document.getElementById('more'));

async function load() {
  const more = document.getElementById('more');
  watcher.unobserve(more);
  const response = await fetch(more.querySelector('a').href, { credentials: 'same-origin' });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const known = new Set([...gallery.children].map((tile) => tile.dataset.image));
  for (const tile of page.querySelectorAll('#gallery > li')) {
    if (!known.has(tile.dataset.image)) gallery.append(document.adoptNode(tile));
  }
  const next = page.getElementById('more');
  if (!next) return more.remove();
  more.replaceWith(document.adoptNode(next));
  watcher.observe(next);
}

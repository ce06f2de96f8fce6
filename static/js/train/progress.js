// A training as it goes: asked every second while someone looks, every ten while nobody does.

import { getJson } from '../site/requests.js';
import { drawCurve } from './learning_curve.js';

const SEEN = 1000; // ms
const HIDDEN = 10000;
const PHASES = {
  decode: 'Reading the photos',
  reference: 'Looking at what they show',
  rank: 'Comparing with the zoo',
  proposals: 'Finding regions',
  instant: 'First model',
  probe: 'Trying the best sources',
  finetune: 'Finetuning',
  evaluate: 'Measuring',
  provisional: 'Sealing what was measured',
  refit: 'Learning from all photos',
  seal: 'Sealing the model',
};

// Calls onState when it leaves the queue (or goes back), onModel when a (better) model can be tried, onEnd when it is over.
export function follow(box, { onState = () => {}, onModel = () => {}, onEnd = () => {} }) {
  let model = null;
  let state = box.dataset.state;
  const look = async () => {
    if (!box.isConnected) return;
    try {
      const status = await getJson(box.dataset.status);
      paint(box, status);
      if (status.model && status.model !== model) {
        model = status.model;
        onModel(status);
      }
      if (status.finished) return onEnd(status);
      if (status.state !== state) {
        state = status.state;
        onState(status);
      }
    } catch (error) {
      say(box, error.message);
    }
    setTimeout(look, document.hidden ? HIDDEN : SEEN);
  };
  document.addEventListener('visibilitychange', () => !document.hidden && box.isConnected && paintSoon(box));
  look();
}

async function paintSoon(box) {
  paint(box, await getJson(box.dataset.status));
}

function paint(box, status) {
  const progress = status.progress ?? {};
  const waiting = status.state === 'queued';
  const bar = box.querySelector('progress');
  if (waiting || progress.fraction == null) bar.removeAttribute('value');
  else bar.value = progress.fraction;
  box.querySelector('.phase .name').textContent = waiting
    ? 'Waiting for a worker'
    : (PHASES[progress.phase] ?? 'Running');
  box.querySelector('.share').textContent =
    waiting || progress.fraction == null ? '' : `${Math.round(100 * progress.fraction)} %`;
  say(box, sentence(status, progress, waiting));
  const expected = box.querySelector('.expected');
  if (progress.forecast && expected.textContent !== progress.forecast)
    expected.textContent = progress.forecast;
  expected.hidden = !expected.textContent;
  const figures = box.querySelector('.figures');
  figures.hidden = !progress.epochs && progress.seconds_left == null;
  set(figures, '.epoch', progress.epochs ? `${progress.epoch} of ${progress.epochs}` : null);
  set(figures, '.accuracy', progress.accuracy == null ? null : `${(100 * progress.accuracy).toFixed(1)} %`);
  set(figures, '.left', progress.seconds_left == null ? null : duration(progress.seconds_left));
  box.querySelector('.instant').hidden = !status.provisional;
  drawCurve(box.querySelector('.curve'), status.curve ?? []);
}

function sentence(status, progress, waiting) {
  if (status.cancel_requested) return 'Stopping …';
  if (waiting) return place(status.queue_position);
  const loss = progress.loss == null ? '' : ` · loss ${progress.loss.toFixed(3)}`;
  return `${progress.message ?? ''}${loss}`;
}

function place(before) {
  if (!before) return 'It is next.';
  return `${before} training${before === 1 ? ' is' : 's are'} before it.`;
}

function set(box, selector, words) {
  const figure = box.querySelector(selector);
  figure.textContent = words ?? '';
  figure.parentElement.hidden = words == null;
}

// Only a changed sentence is told to a screen reader.
function say(box, words) {
  const line = box.querySelector('.says');
  if (line.textContent !== words) line.textContent = words;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')} min`;
}

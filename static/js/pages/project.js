// The project's page: gather, train, use.
import { watchDrop } from '../datasets/dropzone.js';
import { Upload } from '../datasets/upload.js';
import { refresh } from '../site/dom.js';
import { watchTabs } from '../site/tabs.js';
import { toast } from '../site/toast.js';
import { follow } from '../train/progress.js';
import { Trial } from '../use/prediction.js';

const SECONDS = 5; // to say "not yet" before a training starts by itself
const zone = document.getElementById('drop');
const panel = document.getElementById('upload');
const trial = new Trial(document.getElementById('try'));
let sending = Promise.resolve();
let ticking = 0;

watchTabs();
watchLive();
if (zone) {
  // A second drop waits for the first: one wrapper and one tally at a time.
  watchDrop(zone, (items) => (sending = sending.then(() => gather(items))));
  panel.addEventListener('uploaded', () => gathered(true));
  new Upload(panel, zone.dataset).showKept(zone.dataset.project);
}
if (location.hash === '#uploaded') {
  history.replaceState(null, '', location.pathname);
  countDown();
}

async function gather(items) {
  stopCounting();
  panel.querySelector('.verdicts').replaceChildren();
  panel.querySelector('.stop').hidden = false;
  const any = await new Upload(panel, zone.dataset).send(items);
  await gathered(any);
}

async function gathered(any) {
  const running = document.getElementById('live');
  await refresh(['facts', 'labelling', 'health', 'classes', ...(running ? [] : ['train-body'])]);
  if (any) countDown();
}

// The first training starts by itself, unless the person says not yet.
function countDown() {
  const box = document.getElementById('countdown');
  if (box?.dataset.ready !== 'yes' || !document.getElementById('auto-start')?.checked) return;
  let left = SECONDS;
  box.hidden = false;
  box.querySelector('strong').textContent = left;
  clearInterval(ticking);
  ticking = setInterval(() => {
    left -= 1;
    box.querySelector('strong').textContent = left;
    if (left > 0) return;
    stopCounting();
    document.getElementById('train-form').requestSubmit();
  }, 1000);
}

function stopCounting() {
  clearInterval(ticking);
  const box = document.getElementById('countdown');
  if (box) box.hidden = true;
}

document.getElementById('train').addEventListener('click', (event) => {
  if (event.target.closest('#countdown button')) document.getElementById('auto-start').checked = false;
  if (event.target.closest('#countdown button, details')) stopCounting();
});
document.getElementById('train').addEventListener('change', (event) => {
  if (event.target.id === 'auto-start' && !event.target.checked) stopCounting();
});

function watchLive() {
  const live = document.getElementById('live');
  if (!live) return;
  follow(live, {
    onModel: async () => {
      await refresh(['facts', 'model-card', 'publish']);
      trial.modelChanged();
    },
    onEnd: async (status) => {
      await refresh(['facts', 'train-body', 'model-card', 'publish']);
      trial.modelChanged();
      if (status.state === 'succeeded') toast('The model is ready.');
    },
  });
}

// The page of a project: its images, its trainings, its model.
import { watchDropzone } from '../datasets/dropzone.js';
import { Upload } from '../datasets/upload.js';
import { closest, query, queryOptional, refreshElements } from '../site/dom.js';
import { activateTabs } from '../site/tabs.js';
import { showToast } from '../site/toast.js';
import { followTraining } from '../train/progress.js';
import { PredictionPanel } from '../use/prediction.js';

/** @typedef {import('../datasets/dropped_files.js').UploadFile} UploadFile */

const COUNTDOWN = 5; // seconds to say "not yet" before a training starts by itself
const zone = queryOptional(document, '#drop');
const panel = queryOptional(document, '#upload');
const prediction = new PredictionPanel(query(document, '#try'));
const training = query(document, '#train');
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdownTimer;

activateTabs();
followRunningTraining();
if (zone && panel) watchUploads(zone, panel);
if (location.hash === '#uploaded') {
  history.replaceState(null, '', location.pathname);
  startCountdown();
}

/**
 * @param {HTMLElement} zone
 * @param {HTMLElement} panel
 */
function watchUploads(zone, panel) {
  let running = Promise.resolve();
  const upload = async (/** @type {UploadFile[]} */ files) => {
    stopCountdown();
    query(panel, '.upload-results').replaceChildren();
    await showImages(await new Upload(panel, zone.dataset).send(files));
  };
  // A second drop waits for the first: they share one list of results.
  watchDropzone(zone, (files) => {
    running = running.then(() => upload(files)).catch((error) => showToast(String(error), { isError: true }));
  });
  panel.addEventListener('uploaded', () => showImages(true));
  new Upload(panel, zone.dataset).showStoredResults(zone.dataset.project ?? '');
}

/** @param {boolean} hasImages whether any image came in */
async function showImages(hasImages) {
  const isTraining = document.getElementById('live') !== null;
  await refreshElements(['facts', 'labelling', 'health', 'classes', ...(isTraining ? [] : ['train-body'])]);
  if (hasImages) startCountdown();
}

/** Start the first training after a few seconds, unless the user declines. */
function startCountdown() {
  const box = queryOptional(document, '#countdown');
  const option = queryOptional(document, '#auto-start', HTMLInputElement);
  if (box?.dataset.ready !== 'yes' || !option?.checked) return;
  const display = query(box, 'strong');
  let left = COUNTDOWN;
  box.hidden = false;
  display.textContent = String(left);
  clearInterval(countdownTimer);
  countdownTimer = setInterval(() => {
    left -= 1;
    display.textContent = String(left);
    if (left > 0) return;
    stopCountdown();
    query(document, '#train-form', HTMLFormElement).requestSubmit();
  }, 1000);
}

function stopCountdown() {
  clearInterval(countdownTimer);
  const box = queryOptional(document, '#countdown');
  if (box) box.hidden = true;
}

training.addEventListener('click', (event) => {
  if (closest(event, '#countdown button')) query(document, '#auto-start', HTMLInputElement).checked = false;
  if (closest(event, '#countdown button, details')) stopCountdown();
});
training.addEventListener('change', (event) => {
  const option = closest(event, '#auto-start', HTMLInputElement);
  if (option && !option.checked) stopCountdown();
});

function followRunningTraining() {
  const live = document.getElementById('live');
  if (!live) return;
  const showModel = async (/** @type {string[]} */ ids) => {
    await refreshElements(ids);
    prediction.updateModel();
  };
  followTraining(live, {
    onModel: () => showModel(['facts', 'model-card', 'publish']),
    onEnd: async (status) => {
      await showModel(['facts', 'train-body', 'model-card', 'publish']);
      if (status.state === 'succeeded') showToast('The model is ready.');
    },
  });
}

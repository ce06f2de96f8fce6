// A photo for the model: dropped, pasted, chosen or from the camera. Shows calibrated scores as bars, or detections.
import {
  activateButton,
  cloneTemplate,
  fillUrl,
  query,
  queryAll,
  readJson,
  setProgress,
} from '../site/dom.js';
import { getJson, getMessage, postForm, postJson } from '../site/requests.js';
import { closeCamera, openCamera, takePhoto } from './camera.js';
import { drawDetections } from './detections.js';

const JOB_INTERVAL = 1000; // ms between two questions for a job
const CAMERA_INTERVAL = 700; // ms between a prediction and the next photo of the camera
const BARS = 8;
const SMALLEST_BAR = 0.5; // percent of the width

/**
 * @typedef {object} DetectionJob
 * @property {string} id
 * @property {string} state
 * @property {boolean} finished
 * @property {number | null} queue_position
 * @property {{ fraction?: number | null, message?: string } | null} progress
 * @property {{ images: any[] } | null} result
 * @property {{ message: string } | null} error
 *
 * @typedef {{ label: string, score: number }} Score
 */

export class PredictionPanel {
  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.panel = panel;
    /** @type {Blob | null} */
    this.photo = null;
    this.requests = 0; // the latest one wins
    /** @type {MediaStream | null} */
    this.stream = null;
    this.error = query(panel, '#try-error');
    this.bars = query(panel, '#bars');
    this.detections = query(panel, '#detections');
    this.canvas = query(panel, '.detected');
    this.image = query(panel, '.shown', HTMLImageElement);
    this.detectedUrl = '';
    this.listen(query(panel, '#try-drop'), query(panel, '#try-file', HTMLInputElement));
  }

  /**
   * @param {HTMLElement} zone
   * @param {HTMLInputElement} input
   */
  listen(zone, input) {
    input.addEventListener('change', () => {
      this.showPhoto(input.files?.[0]);
      input.value = '';
    });
    activateButton(query(this.panel, '#try-pick', HTMLButtonElement), () => input.click());
    activateButton(query(this.panel, '#try-camera', HTMLButtonElement), () => this.startCamera());
    query(this.panel, '#camera-stop').addEventListener('click', () => this.stopCamera());
    zone.addEventListener('dragover', () => zone.classList.add('over'));
    zone.addEventListener('dragleave', () => zone.classList.remove('over'));
    zone.addEventListener('drop', (event) => {
      event.preventDefault();
      zone.classList.remove('over');
      this.showPhoto(event.dataTransfer?.files[0]);
    });
    document.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!this.panel.hidden) this.showPhoto(files.find(({ type }) => type.startsWith('image/')));
    });
  }

  /** The server renders the model's addresses into a card that is exchanged when there is a newer model. */
  get urls() {
    return query(document, '#model-card').dataset;
  }

  /** Predict the last photo again with the model that the page has now. */
  updateModel() {
    this.panel.hidden = !this.urls.model;
    if (this.photo && !this.panel.hidden) this.predict(this.photo);
  }

  /** @param {File | undefined} file */
  showPhoto(file) {
    if (!file) return;
    this.photo = file;
    URL.revokeObjectURL(this.image.src);
    this.image.src = URL.createObjectURL(file);
    this.image.hidden = false;
    this.canvas.hidden = true;
    for (const line of queryAll(this.panel, '.ask')) line.hidden = true;
    this.predict(file);
  }

  /** @param {Blob} photo */
  async predict(photo) {
    this.requests += 1;
    const request = this.requests;
    const form = new FormData();
    form.append('images', photo, photo instanceof File ? photo.name : 'photo.jpg');
    this.panel.setAttribute('aria-busy', 'true');
    try {
      const { detect, classify } = this.urls;
      const answer = await postForm(detect ?? classify ?? '', form);
      const result = answer.state ? await this.waitForJob(answer, request) : answer;
      if (request !== this.requests || !result) return;
      if (detect) this.showDetections(result.images[0], photo);
      else this.showScores(result.images[0].scores);
    } catch (error) {
      if (request === this.requests)
        this.showError(getMessage(error).replace(/^images\[0\] /, 'This photo '));
    } finally {
      this.panel.removeAttribute('aria-busy');
      if (request === this.requests) query(this.panel, '#try-wait').hidden = true;
    }
  }

  /**
   * A slow detector answers with a job: show its progress until it has a result. Another photo cancels it.
   * @param {DetectionJob} job
   * @param {number} request
   */
  async waitForJob(job, request) {
    const url = fillUrl(this.urls.detectionJobs, job.id);
    let status = job;
    while (!status.finished) {
      this.showJob(status);
      await wait(JOB_INTERVAL);
      if (request !== this.requests) {
        await postJson(`${url}/cancel`, {}).catch(() => {}); // it may have ended meanwhile
        return null;
      }
      status = await getJson(url);
    }
    if (!status.result) throw new Error(status.error?.message ?? 'The detection was cancelled.');
    return status.result;
  }

  /** @param {DetectionJob} job */
  showJob({ state, queue_position: ahead, progress }) {
    const pane = query(this.panel, '#try-wait');
    const isQueued = state === 'queued';
    const position = ahead ? `${ahead} before it` : 'it is next';
    const message = isQueued ? `Waiting for a worker: ${position}` : progress?.message || 'Running';
    query(pane, 'span').textContent = message;
    const fraction = isQueued ? null : progress?.fraction || null;
    setProgress(query(pane, 'progress', HTMLProgressElement), fraction);
    pane.hidden = false;
  }

  /** @param {Score[]} scores highest first */
  showScores(scores) {
    this.error.hidden = true;
    const shown = scores.slice(0, BARS);
    while (this.bars.children.length > shown.length) this.bars.lastElementChild?.remove();
    for (const [index, { label, score }] of shown.entries()) {
      const bar = this.bars.children[index] ?? this.bars.appendChild(cloneTemplate(this.panel, '#bar'));
      query(bar, '.name').textContent = label;
      query(bar, '.value').textContent = `${(100 * score).toFixed(1)} %`;
      query(bar, 'rect').setAttribute('width', Math.max(SMALLEST_BAR, 100 * score).toFixed(2));
    }
  }

  /**
   * Show the photo with its detections in place of the photo.
   * @param {import('./detections.js').DetectedImage} image
   * @param {Blob} photo
   */
  showDetections(image, photo) {
    this.error.hidden = true;
    URL.revokeObjectURL(this.detectedUrl);
    this.detectedUrl = URL.createObjectURL(photo);
    drawDetections(this.canvas, this.detections, this.detectedUrl, image, readJson('model-labels'));
    this.canvas.hidden = false;
    this.image.hidden = true;
    if (image.detections.length) return;
    const line = document.createElement('li');
    line.className = 'soft';
    line.textContent = 'Nothing was found on this photo.';
    this.detections.replaceChildren(line);
  }

  /** @param {string} message */
  showError(message) {
    this.bars.replaceChildren();
    this.detections.replaceChildren();
    this.error.textContent = message;
    this.error.hidden = false;
  }

  async startCamera() {
    try {
      this.stream = await openCamera();
    } catch {
      this.showError(
        'There is no camera, or this page may not use it. Browsers allow it on localhost and over HTTPS only.',
      );
      return;
    }
    const pane = query(this.panel, '#camera');
    const video = query(pane, 'video', HTMLVideoElement);
    pane.hidden = false;
    video.srcObject = this.stream;
    while (this.stream) {
      const photo = await takePhoto(video);
      if (photo && this.stream) await this.predict(photo);
      await wait(CAMERA_INTERVAL);
    }
  }

  stopCamera() {
    closeCamera(this.stream);
    this.stream = null;
    query(this.panel, '#camera').hidden = true;
  }
}

/** @param {number} milliseconds */
function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

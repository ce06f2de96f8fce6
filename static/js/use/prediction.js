// Try a photo: dropped, pasted, picked or from the camera; calibrated scores as bars.

import { onPress } from '../site/dom.js';
import { getJson, postForm, postJson } from '../site/requests.js';
import { drawObjects } from './detections.js';

const ASK_AGAIN = 1000; // ms between two looks at a job
const LOOK = 700; // ms between two looks of the camera
const NOBODY = '00000000-0000-0000-0000-000000000000'; // stands for a job's id in the page
const SHOWN = 8; // bars
const CAMERA_SIDE = 640; // pixels; more would only be sent and thrown away

export class Trial {
  constructor(box) {
    this.box = box;
    this.last = null;
    this.number = 0;
    const zone = box.querySelector('#try-drop');
    const input = box.querySelector('#try-file');
    box.querySelector('#camera-stop').addEventListener('click', () => this.stopCamera());
    input.addEventListener('change', () => {
      if (input.files[0]) this.show(input.files[0]);
      input.value = '';
    });
    onPress(box.querySelector('#try-pick'), () => input.click());
    onPress(box.querySelector('#try-camera'), () => this.startCamera());
    zone.addEventListener('dragover', () => zone.classList.add('over'));
    zone.addEventListener('dragleave', () => zone.classList.remove('over'));
    zone.addEventListener('drop', (event) => {
      event.preventDefault();
      zone.classList.remove('over');
      this.show(event.dataTransfer.files[0]);
    });
    document.addEventListener('paste', (event) => {
      const file = [...event.clipboardData.files].find(({ type }) => type.startsWith('image/'));
      if (file && !this.box.hidden) this.show(file);
    });
  }

  get card() {
    return document.getElementById('model-card');
  }

  // A model came, or a better one: the last photo is asked again.
  modelChanged() {
    this.box.hidden = !this.card.dataset.model;
    if (this.last && !this.box.hidden) this.ask(this.last);
  }

  show(file) {
    if (!file) return;
    this.last = file;
    const image = this.box.querySelector('.shown');
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    this.box.querySelector('.looked').hidden = true;
    for (const line of this.box.querySelectorAll('.ask')) line.hidden = true;
    this.ask(file);
  }

  async ask(file) {
    this.number += 1;
    const mine = this.number;
    const form = new FormData();
    form.append('images', file, file.name ?? 'photo.jpg');
    this.box.setAttribute('aria-busy', 'true');
    try {
      const { detect, classify } = this.card.dataset;
      const answer = await postForm(detect ?? classify, form);
      const { images } = answer.state ? await this.result(answer, mine) : answer;
      if (mine !== this.number || !images) return;
      if (detect) this.paintObjects(images[0], file);
      else this.paint(images[0].scores);
    } catch (error) {
      if (mine === this.number) this.refuse(error.message.replace(/^images\[0\] /, 'This photo '));
    } finally {
      this.box.removeAttribute('aria-busy');
      if (mine === this.number) this.box.querySelector('#try-wait').hidden = true;
    }
  }

  // A slow detector answers with a job: what it does is told until its result is there. Another photo calls it off.
  async result(job, mine) {
    const address = this.card.dataset.detections.replace(NOBODY, job.id);
    let status = job;
    while (!status.finished) {
      this.wait(status);
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
      if (mine !== this.number) {
        await postJson(`${address}/cancel`, {}).catch(() => {}); // it may have ended by now
        return {};
      }
      status = await getJson(address);
    }
    if (!status.result) throw new Error(status.error?.message ?? 'It was called off.');
    return status.result;
  }

  wait({ state, place, progress }) {
    const pane = this.box.querySelector('#try-wait');
    const before = place ? `${place} before it` : 'it is next';
    pane.querySelector('span').textContent =
      state === 'queued' ? `Waiting for a worker: ${before}` : progress?.message || 'Running';
    const bar = pane.querySelector('progress');
    if (state === 'queued' || !progress?.fraction) bar.removeAttribute('value');
    else bar.value = progress.fraction;
    pane.hidden = false;
  }

  paint(scores) {
    this.box.querySelector('#try-error').hidden = true;
    const list = this.box.querySelector('#bars');
    const sketch = this.box.querySelector('#bar').content.firstElementChild;
    const shown = scores.slice(0, SHOWN);
    while (list.children.length > shown.length) list.lastElementChild.remove();
    shown.forEach(({ label, score }, index) => {
      const bar = list.children[index] ?? list.appendChild(sketch.cloneNode(true));
      bar.querySelector('.name').textContent = label;
      bar.querySelector('.value').textContent = `${(100 * score).toFixed(1)} %`;
      bar.querySelector('rect').setAttribute('width', Math.max(0.5, 100 * score).toFixed(2));
    });
  }

  // The photo with its boxes takes the place of the photo.
  paintObjects(found, file) {
    this.box.querySelector('#try-error').hidden = true;
    const pane = this.box.querySelector('.looked');
    const list = this.box.querySelector('#objects');
    const labels = JSON.parse(document.getElementById('model-labels').textContent);
    URL.revokeObjectURL(this.photo);
    this.photo = URL.createObjectURL(file);
    drawObjects(pane, list, this.photo, found, labels);
    pane.hidden = false;
    this.box.querySelector('.shown').hidden = true;
    if (!found.detections.length) this.say('Nothing was found on this photo.');
  }

  say(words) {
    const line = document.createElement('li');
    line.className = 'soft';
    line.textContent = words;
    this.box.querySelector('#objects').replaceChildren(line);
  }

  refuse(message) {
    this.box.querySelector('#bars').replaceChildren();
    this.box.querySelector('#objects').replaceChildren();
    const line = this.box.querySelector('#try-error');
    line.textContent = message;
    line.hidden = false;
  }

  async startCamera() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } catch {
      this.refuse(
        'There is no camera, or this page may not use it (browsers allow it on localhost and over HTTPS only).',
      );
      return;
    }
    const pane = this.box.querySelector('#camera');
    pane.hidden = false;
    pane.querySelector('video').srcObject = this.stream;
    this.look(pane.querySelector('video'));
  }

  stopCamera() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.box.querySelector('#camera').hidden = true;
  }

  async look(video) {
    while (this.stream) {
      const photo = await still(video);
      if (photo && this.stream) await this.ask(photo);
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }
}

function still(video) {
  if (!video.videoWidth) return null;
  const shrink = Math.min(1, CAMERA_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(video.videoWidth * shrink);
  canvas.height = Math.round(video.videoHeight * shrink);
  canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
}

// The list of projects: what is dropped here becomes a project of its own.

import { watchDrop } from '../datasets/dropzone.js';
import { isAnnotation, nameOf } from '../datasets/folders.js';
import { Upload } from '../datasets/upload.js';
import { postJson } from '../site/requests.js';
import { toast } from '../site/toast.js';

const zone = document.getElementById('drop');
const panel = document.getElementById('upload');

watchDrop(zone, async (items) => {
  const name = (nameOf(items) || `Photos of ${new Date().toLocaleDateString()}`).slice(0, 120);
  zone.inert = true;
  try {
    const task = items.some(isAnnotation) ? 'detection' : zone.querySelector('[name=task]:checked').value;
    const { id } = await postJson(zone.dataset.create, { name, task });
    const there = `/projects/${id}/`;
    zone.hidden = true;
    document.getElementById('begin-empty')?.setAttribute('hidden', '');
    const where = task === 'detection' ? 'annotations/import' : 'images';
    const upload = new Upload(panel, {
      upload: `${zone.dataset.create}/${id}/${where}`,
      health: `${zone.dataset.create}/${id}/health`,
      task,
    });
    const any = await upload.send(items);
    upload.keep(id);
    if (!upload.failed.length) location.assign(`${there}${any ? '#uploaded' : ''}`);
    panel.addEventListener('uploaded', () => {
      upload.keep(id);
      location.assign(`${there}#uploaded`);
    });
    if (upload.failed.length) offer(there);
  } catch (error) {
    zone.hidden = false;
    toast(error.message, { bad: true });
  } finally {
    zone.inert = false;
  }
});

function offer(url) {
  const link = document.createElement('a');
  link.href = url;
  link.textContent = 'Go on to the project';
  panel.append(link);
}

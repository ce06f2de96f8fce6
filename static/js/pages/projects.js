// The list of projects: what is dropped here becomes a project of its own.
import { isAnnotation, suggestName } from '../datasets/dropped_files.js';
import { watchDropzone } from '../datasets/dropzone.js';
import { Upload } from '../datasets/upload.js';
import { query, queryOptional } from '../site/dom.js';
import { getMessage, postJson } from '../site/requests.js';
import { showToast } from '../site/toast.js';

/** @typedef {import('../datasets/dropped_files.js').UploadFile} UploadFile */

const NAME_LENGTH = 120;
const zone = query(document, '#drop');
const panel = query(document, '#upload');

watchDropzone(zone, async (files) => {
  zone.inert = true;
  try {
    await createProject(files);
  } catch (error) {
    zone.hidden = false;
    showToast(getMessage(error), { isError: true });
  } finally {
    zone.inert = false;
  }
});

/** @param {UploadFile[]} files */
async function createProject(files) {
  const name = (suggestName(files) || `Photos of ${new Date().toLocaleDateString()}`).slice(0, NAME_LENGTH);
  const chosen = query(zone, '[name=task]:checked', HTMLInputElement).value;
  const task = files.some(isAnnotation) ? 'detection' : chosen;
  const collection = zone.dataset.create ?? '';
  const { id } = await postJson(collection, { name, task });
  const projectPage = `/projects/${id}/`;
  zone.hidden = true;
  const emptyForm = queryOptional(document, '#begin-empty');
  if (emptyForm) emptyForm.hidden = true;
  const upload = new Upload(panel, {
    upload: `${collection}/${id}/${task === 'detection' ? 'annotations/import' : 'images'}`,
    health: `${collection}/${id}/health`,
    task,
  });
  const hasImages = await upload.send(files);
  upload.results.store(id);
  if (!upload.failed.length) {
    location.assign(hasImages ? `${projectPage}#uploaded` : projectPage);
    return;
  }
  panel.addEventListener('uploaded', () => {
    upload.results.store(id);
    location.assign(`${projectPage}#uploaded`);
  });
  addLink(projectPage);
}

/** @param {string} url */
function addLink(url) {
  const link = document.createElement('a');
  link.href = url;
  link.textContent = 'Go on to the project';
  panel.append(link);
}

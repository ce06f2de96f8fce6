// The place where files are dropped or chosen; what to do with them is the caller's.
import { activateButton, query } from '../site/dom.js';
import { listChosenFiles, listDroppedFiles } from './dropped_files.js';

/**
 * Call `onFiles` with the files of every drop and every choice.
 * @param {HTMLElement} zone
 * @param {(files: import('./dropped_files.js').UploadFile[]) => unknown} onFiles
 */
export function watchDropzone(zone, onFiles) {
  for (const name of ['files', 'folder']) {
    const input = query(document, `#${name}`, HTMLInputElement);
    input.addEventListener('change', () => {
      const files = listChosenFiles(input);
      input.value = '';
      if (files.length) onFiles(files);
    });
    activateButton(query(document, `#pick-${name}`, HTMLButtonElement), () => input.click());
  }
  let depth = 0; // dragenter and dragleave also come from the children
  const setDepth = (/** @type {number} */ value) => {
    depth = value;
    zone.classList.toggle('over', depth > 0);
  };
  zone.addEventListener('dragenter', () => setDepth(depth + 1));
  zone.addEventListener('dragleave', () => setDepth(depth - 1));
  zone.addEventListener('drop', async (event) => {
    event.preventDefault();
    setDepth(0);
    const files = event.dataTransfer ? await listDroppedFiles(event.dataTransfer) : [];
    if (files.length) onFiles(files);
  });
  // Beside the zone, a dropped file would replace the page.
  for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());
}

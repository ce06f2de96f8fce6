// The place where files are dropped or picked; what to do with them is the caller's.

import { onPress } from '../site/dom.js';
import { fromDrop, fromInput } from './folders.js';

export function watchDrop(zone, onItems) {
  const files = document.getElementById('files');
  const folder = document.getElementById('folder');
  for (const input of [files, folder]) {
    input.addEventListener('change', () => {
      const items = fromInput(input);
      input.value = '';
      if (items.length) onItems(items);
    });
  }
  onPress(document.getElementById('pick-files'), () => files.click());
  onPress(document.getElementById('pick-folder'), () => folder.click());
  let depth = 0; // dragenter and dragleave also come from the children
  const enter = (step) => {
    depth += step;
    zone.classList.toggle('over', depth > 0);
  };
  zone.addEventListener('dragenter', () => enter(1));
  zone.addEventListener('dragleave', () => enter(-1));
  zone.addEventListener('drop', async (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove('over');
    const items = await fromDrop(event.dataTransfer);
    if (items.length) onItems(items);
  });
}

// Beside a zone, a dropped file would replace the page.
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());

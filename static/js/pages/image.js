// One photo large: its class, its neighbours by the arrow keys, and away with it.
import { onPress } from '../site/dom.js';
import { postJson } from '../site/requests.js';
import { toast } from '../site/toast.js';

const side = document.getElementById('side');
const select = document.getElementById('class-of');
const ids = [side.dataset.image];

select?.addEventListener('change', async () => {
  const option = select.selectedOptions[0];
  const label = option.dataset.none === undefined ? option.value : null;
  try {
    await postJson(side.dataset.move, { ids, label });
    toast(label === null ? 'It has no class now.' : `It is ${label} now.`);
  } catch (error) {
    toast(error.message, { bad: true });
  }
});

const away = document.getElementById('delete');
if (away) onPress(away, remove);

async function remove() {
  try {
    await postJson(side.dataset.delete, { ids });
    const next = document.getElementById('older') ?? document.getElementById('newer');
    location.assign(next ? next.href : side.dataset.back);
  } catch (error) {
    toast(error.message, { bad: true });
  }
}

document.addEventListener('keydown', (event) => {
  if (event.target.closest('input, select, textarea')) return;
  if (event.key === 'ArrowLeft') document.getElementById('newer')?.click();
  if (event.key === 'ArrowRight') document.getElementById('older')?.click();
});

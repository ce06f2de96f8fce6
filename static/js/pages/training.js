// The page of one training, and the learning curve on a model's report.
import { readJson, refreshElements } from '../site/dom.js';
import { drawCurve } from '../train/learning_curve.js';
import { offerDeletion } from '../train/near_duplicates.js';
import { followTraining } from '../train/progress.js';

const panel = document.getElementById('live');
if (panel) {
  const refresh = () => refreshElements(['state', 'made', 'history']);
  const finish = async () => {
    if (await refreshElements(['training'])) drawStoredCurve();
  };
  followTraining(panel, { onState: refresh, onModel: refresh, onEnd: finish });
}
drawStoredCurve();
const duplicates = document.getElementById('near-duplicates');
if (duplicates) offerDeletion(duplicates);

function drawStoredCurve() {
  const points = readJson('curve-data');
  /** @type {HTMLElement | null | undefined} */
  const figure = document.getElementById('curve-data')?.parentElement?.querySelector('.curve');
  if (points && figure) drawCurve(figure, points, readJson('final-curve-data') ?? []);
}

// The page of one training, and the curve on a model's report.

import { refresh } from '../site/dom.js';
import { drawCurve } from '../train/learning_curve.js';
import { follow } from '../train/progress.js';

const live = document.getElementById('live');
if (live) {
  const tell = () => refresh(['state', 'made', 'history']);
  follow(live, {
    onState: tell,
    onModel: tell,
    onEnd: async () => (await refresh(['training'])) && drawKept(),
  });
}
drawKept();

function drawKept() {
  const data = document.getElementById('curve-data');
  const again = document.getElementById('again-data');
  if (data)
    drawCurve(
      data.parentElement.querySelector('.curve'),
      JSON.parse(data.textContent),
      again ? JSON.parse(again.textContent) : [],
    );
}

// The learning curve: validation accuracy (and loss, on its own scale) by epoch, as SVG; of a detector the loss by pass.

const WIDTH = 360;
const HEIGHT = 180;
const LEFT = 40;
const BOTTOM = 24;
const TOP = 8;

// `again`: the same of a second training, from more photos.
export function drawCurve(figure, points, again = []) {
  const known = points.filter(({ accuracy }) => accuracy != null);
  if (!known.length) return drawLosses(figure, points, again);
  figure.hidden = known.length < 2;
  if (figure.hidden) return;
  const last = known.at(-1);
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img' });
  svg.setAttribute(
    'aria-label',
    `Validation accuracy after epoch ${last.epoch}: ${(100 * last.accuracy).toFixed(1)} %`,
  );
  const epochs = known.map(({ epoch }) => epoch);
  const x = scale(Math.min(...epochs), Math.max(...epochs), LEFT, WIDTH - 8);
  const low = Math.max(0, Math.floor(Math.min(...known.map(({ accuracy }) => accuracy)) * 10 - 0.5) / 10);
  const y = scale(low, 1, HEIGHT - BOTTOM, TOP);
  for (const share of [low, (low + 1) / 2, 1]) {
    svg.append(shape('line', { class: 'axis', x1: LEFT, x2: WIDTH - 8, y1: y(share), y2: y(share) }));
    svg.append(text(LEFT - 6, y(share) + 4, `${Math.round(100 * share)} %`, 'end'));
  }
  svg.append(
    text(LEFT, HEIGHT - 6, `epoch ${epochs[0]}`, 'start'),
    text(WIDTH - 8, HEIGHT - 6, `epoch ${last.epoch}`, 'end'),
  );
  svg.append(...loss(known, x));
  svg.append(
    line(
      'line',
      known.map((point) => [x(point.epoch), y(point.accuracy)]),
    ),
  );
  svg.append(shape('circle', { class: 'dot', cx: x(last.epoch), cy: y(last.accuracy), r: 3.5 }));
  figure.replaceChildren(
    svg,
    key(['first', 'right on validation photos'], ['second', 'loss (from its highest value to 0)']),
  );
}

function drawLosses(figure, points, again) {
  const all = [...points, ...again].filter(({ loss }) => loss != null);
  figure.hidden = points.length < 2;
  if (figure.hidden) return;
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img' });
  svg.setAttribute('aria-label', `Loss after pass ${points.at(-1).epoch}: ${points.at(-1).loss.toFixed(3)}`);
  const first = Math.min(...all.map(({ epoch }) => epoch));
  const last = Math.max(...all.map(({ epoch }) => epoch));
  const most = Math.max(...all.map(({ loss }) => loss)) || 1;
  const x = scale(first, last, LEFT, WIDTH - 8);
  const y = scale(0, most, HEIGHT - BOTTOM, TOP);
  for (const loss of [0, most / 2, most]) {
    svg.append(shape('line', { class: 'axis', x1: LEFT, x2: WIDTH - 8, y1: y(loss), y2: y(loss) }));
    svg.append(text(LEFT - 6, y(loss) + 4, loss.toPrecision(2), 'end'));
  }
  svg.append(
    text(LEFT, HEIGHT - 6, `pass ${first}`, 'start'),
    text(WIDTH - 8, HEIGHT - 6, `pass ${last}`, 'end'),
  );
  if (again.length > 1)
    svg.append(
      line(
        'second',
        again.map((point) => [x(point.epoch), y(point.loss)]),
      ),
    );
  svg.append(
    line(
      'line',
      points.map((point) => [x(point.epoch), y(point.loss)]),
    ),
  );
  figure.replaceChildren(
    svg,
    ...(again.length > 1 ? [key(['first', 'the measured one'], ['second', 'the one from all photos'])] : []),
  );
}

function loss(points, x) {
  const known = points.filter((point) => point.loss != null);
  if (known.length < 2) return [];
  const most = Math.max(...known.map((point) => point.loss)) || 1;
  const y = scale(0, most, HEIGHT - BOTTOM, TOP);
  return [
    line(
      'second',
      known.map((point) => [x(point.epoch), y(point.loss)]),
    ),
  ];
}

function key(...entries) {
  const list = document.createElement('ul');
  list.className = 'key';
  for (const [name, words] of entries) {
    const entry = document.createElement('li');
    entry.className = name;
    entry.textContent = words;
    list.append(entry);
  }
  return list;
}

function line(name, points) {
  return shape('polyline', {
    class: name,
    points: points.map((point) => point.map((value) => value.toFixed(1)).join(',')).join(' '),
  });
}

function scale(from, to, start, end) {
  const span = to - from || 1;
  return (value) => start + ((value - from) / span) * (end - start);
}

function text(x, y, words, anchor) {
  const made = shape('text', { x, y, 'text-anchor': anchor });
  made.textContent = words;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

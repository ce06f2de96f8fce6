// The learning curve: validation accuracy (and loss, on its own scale) by epoch, as SVG.

const WIDTH = 360;
const HEIGHT = 180;
const LEFT = 40;
const BOTTOM = 24;
const TOP = 8;

export function drawCurve(figure, points) {
  const known = points.filter(({ accuracy }) => accuracy != null);
  figure.hidden = known.length < 2;
  if (figure.hidden) return;
  const last = known.at(-1);
  const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img' });
  svg.setAttribute('aria-label', `Validation accuracy after epoch ${last.epoch}: ${(100 * last.accuracy).toFixed(1)} %`);
  const epochs = known.map(({ epoch }) => epoch);
  const x = scale(Math.min(...epochs), Math.max(...epochs), LEFT, WIDTH - 8);
  const low = Math.max(0, Math.floor(Math.min(...known.map(({ accuracy }) => accuracy)) * 10 - 0.5) / 10);
  const y = scale(low, 1, HEIGHT - BOTTOM, TOP);
  for (const share of [low, (low + 1) / 2, 1]) {
    svg.append(shape('line', { class: 'axis', x1: LEFT, x2: WIDTH - 8, y1: y(share), y2: y(share) }));
    svg.append(text(LEFT - 6, y(share) + 4, `${Math.round(100 * share)} %`, 'end'));
  }
  svg.append(text(LEFT, HEIGHT - 6, `epoch ${epochs[0]}`, 'start'), text(WIDTH - 8, HEIGHT - 6, `epoch ${last.epoch}`, 'end'));
  svg.append(...loss(known, x));
  svg.append(line('line', known.map((point) => [x(point.epoch), y(point.accuracy)])));
  svg.append(shape('circle', { class: 'dot', cx: x(last.epoch), cy: y(last.accuracy), r: 3.5 }));
  figure.replaceChildren(svg, key());
}

function loss(points, x) {
  const known = points.filter((point) => point.loss != null);
  if (known.length < 2) return [];
  const most = Math.max(...known.map((point) => point.loss)) || 1;
  const y = scale(0, most, HEIGHT - BOTTOM, TOP);
  return [line('second', known.map((point) => [x(point.epoch), y(point.loss)]))];
}

function key() {
  const list = document.createElement('ul');
  list.className = 'key';
  for (const [name, words] of [['first', 'right on validation photos'], ['second', 'loss (from its highest value to 0)']]) {
    const entry = document.createElement('li');
    entry.className = name;
    entry.textContent = words;
    list.append(entry);
  }
  return list;
}

function line(name, points) {
  return shape('polyline', { class: name, points: points.map((point) => point.map((value) => value.toFixed(1)).join(',')).join(' ') });
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

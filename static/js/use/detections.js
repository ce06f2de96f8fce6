// Boxes over a photo: an SVG in the photo's own pixels, and the same things as a list that points at them.
const SPACE = 'http://www.w3.org/2000/svg';
const HUES = 6; // as in boxes.css

// photo: an object URL; found: {width, height, detections} as REST tells it; labels: all classes, in order.
export function drawObjects(box, list, photo, found, labels) {
  const hue = (label) => `hue${Math.max(0, labels.indexOf(label)) % HUES}`;
  const svg = shape('svg', {
    viewBox: `0 0 ${found.width} ${found.height}`,
    role: 'img',
    'aria-label': summary(found.detections),
  });
  svg.append(shape('image', { href: photo, width: found.width, height: found.height }));
  const size = Math.max(found.width, found.height) / 26; // letters, in the photo's pixels
  const groups = found.detections.map((object, index) => group(object, index, hue(object.label), size));
  // The surest is drawn last, so that it lies on top.
  svg.append(...[...groups].reverse());
  box.replaceChildren(svg);
  list.replaceChildren(...found.detections.map((object, index) => entry(object, index, hue(object.label))));
  for (const part of [box, list]) watch(part, box, list);
}

function group(object, index, hue, size) {
  const { x0, y0, x1, y1 } = object;
  const made = shape('g', { class: hue, 'data-object': index });
  made.append(
    shape('rect', { x: x0, y: y0, width: x1 - x0, height: y1 - y0, 'vector-effect': 'non-scaling-stroke' }),
  );
  const words = shape('text', {
    x: x0 + size / 4,
    y: Math.max(y0, 0) + size,
    'font-size': size,
    'stroke-width': size / 4,
  });
  words.textContent = object.label;
  made.append(words);
  return made;
}

function entry(object, index, hue) {
  const made = document.createElement('li');
  made.dataset.object = index;
  const swatch = document.createElement('span');
  swatch.className = `swatch ${hue}`;
  const name = document.createElement('span');
  name.className = 'name';
  name.textContent = object.label;
  const value = document.createElement('span');
  value.className = 'value';
  value.textContent = `${(100 * object.score).toFixed(0)} %`;
  made.append(swatch, name, value);
  return made;
}

// What the pointer is on is marked in both.
function watch(part, box, list) {
  part.onpointerover = (event) => mark(box, list, event.target.closest('[data-object]')?.dataset.object);
  part.onpointerleave = () => mark(box, list, undefined);
}

function mark(box, list, index) {
  for (const one of [...box.querySelectorAll('[data-object]'), ...list.children]) {
    one.classList.toggle('chosen', index !== undefined && one.dataset.object === index);
  }
}

function summary(detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return detections.length
    ? [...counts].map(([label, count]) => `${count} × ${label}`).join(', ')
    : 'Nothing was found';
}

function shape(name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

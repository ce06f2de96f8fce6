// What was dropped or picked, as one list of {file, path}: folders are walked, their paths kept.

const LITTER = new Set(['thumbs.db', 'desktop.ini', '.ds_store']);

export async function fromDrop(transfer) {
  // Entries must be taken before the first await: the list is emptied when the event ends.
  const entries = [...transfer.items]
    .map((item) => (item.kind === 'file' ? item.webkitGetAsEntry?.() : null))
    .filter(Boolean);
  if (!entries.length) return tidy([...transfer.files].map((file) => ({ file, path: file.name })));
  const found = [];
  for (const entry of entries) await walk(entry, '', found);
  return tidy(found);
}

export function fromInput(input) {
  return tidy([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

// The folders around everything: `a/b` when every file lies below a/b. One flat folder is not around its files, it names them.
export function wrapperOf(all) {
  const boxed = holdBoxes(all);
  const items = boxed ? all.filter((item) => !isAnnotation(item)) : all;
  const folders = items
    .filter(({ path }) => path.includes('/'))
    .map(({ path }) => path.split('/').slice(0, -1));
  if (!folders.length || folders.length < items.length) return '';
  let common = folders[0];
  for (const parts of folders) {
    let same = 0;
    while (same < Math.min(common.length, parts.length) && common[same] === parts[same]) same += 1;
    common = common.slice(0, same);
  }
  const flat = !boxed && folders.every((parts) => parts.length === common.length);
  return (flat ? common.slice(0, -1) : common).join('/');
}

// Boxes as Pascal VOC, COCO or YOLO have them: then a folder named `images` is no class.
function holdBoxes(items) {
  const stem = ({ file }) => file.name.replace(/\.[^.]*$/, '');
  const pictures = new Set(items.filter((item) => !isAnnotation(item)).map(stem));
  return items.some(
    (item) =>
      /\.(xml|json)$/i.test(item.file.name) || (/\.txt$/i.test(item.file.name) && pictures.has(stem(item))),
  );
}

// A name for what was dropped: its zip or its folder; '' for loose files.
export function nameOf(items) {
  const first = items[0];
  if (!first) return '';
  if (first.path.includes('/')) return first.path.split('/')[0];
  return items.length === 1 && isZip(first) ? first.file.name.replace(/\.zip$/i, '') : '';
}

// A file that tells of boxes: a folder with one is a set for a project that finds things.
export function isAnnotation({ file }) {
  return /\.(xml|json|txt|csv|ya?ml|names)$/i.test(file.name);
}

export function isZip({ file }) {
  return /\.zip$/i.test(file.name);
}

function tidy(items) {
  return items.filter(({ path }) => {
    const name = path.split('/').at(-1);
    return !path.split('/').includes('__MACOSX') && !name.startsWith('.') && !LITTER.has(name.toLowerCase());
  });
}

async function walk(entry, around, found) {
  const path = around ? `${around}/${entry.name}` : entry.name;
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time; an empty answer is the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, path, found);
  }
}

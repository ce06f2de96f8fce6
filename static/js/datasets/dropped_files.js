// Dropped or chosen files as one list; folders are walked and their paths kept.

const SYSTEM_FILES = new Set(['thumbs.db', 'desktop.ini', '.ds_store']);

/**
 * @typedef {object} UploadFile
 * @property {File} file
 * @property {string} path with the folders that it came in
 */

/**
 * List the files of a drop.
 * @param {DataTransfer} transfer
 * @returns {Promise<UploadFile[]>}
 */
export async function listDroppedFiles(transfer) {
  // Entries must be taken before the first await: the list is emptied when the event ends.
  const entries = [...transfer.items].map((item) =>
    item.kind === 'file' ? item.webkitGetAsEntry?.() : null,
  );
  const present = entries.filter((entry) => entry != null);
  if (!present.length) return dropSystemFiles([...transfer.files].map((file) => ({ file, path: file.name })));
  /** @type {UploadFile[]} */
  const files = [];
  for (const entry of present) await walk(entry, '', files);
  return dropSystemFiles(files);
}

/**
 * List the files of an `<input type="file">`.
 * @param {Pick<HTMLInputElement, 'files'>} input
 */
export function listChosenFiles(input) {
  const files = [...(input.files ?? [])];
  return dropSystemFiles(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

/**
 * Find the folders around all files: `a/b` when every file lies below a/b; '' when there are none.
 * A single folder that holds all files is their class, not a wrapper.
 * @param {UploadFile[]} all
 */
export function findWrapper(all) {
  const hasBoxes = holdsAnnotations(all);
  const files = hasBoxes ? all.filter((file) => !isAnnotation(file)) : all;
  const nested = files.filter(({ path }) => path.includes('/'));
  const folders = nested.map(({ path }) => path.split('/').slice(0, -1));
  if (!folders.length || folders.length < files.length) return '';
  let common = folders[0];
  for (const parts of folders) {
    const differing = common.findIndex((part, index) => part !== parts[index]);
    if (differing >= 0) common = common.slice(0, differing);
  }
  const isFlat = !hasBoxes && folders.every((parts) => parts.length === common.length);
  return (isFlat ? common.slice(0, -1) : common).join('/');
}

/**
 * Whether there are boxes as Pascal VOC, COCO or YOLO have them: then a folder named `images` is no class.
 * @param {UploadFile[]} files
 */
function holdsAnnotations(files) {
  const getStem = (/** @type {UploadFile} */ { file }) => file.name.replace(/\.[^.]*$/, '');
  const images = new Set(files.filter((file) => !isAnnotation(file)).map(getStem));
  return files.some(
    (item) =>
      /\.(xml|json)$/i.test(item.file.name) || (/\.txt$/i.test(item.file.name) && images.has(getStem(item))),
  );
}

/**
 * Suggest a project's name: that of its folder or zip; '' for loose files.
 * @param {UploadFile[]} files
 */
export function suggestName(files) {
  const first = files[0];
  if (!first) return '';
  if (first.path.includes('/')) return first.path.split('/')[0];
  return files.length === 1 && isZip(first) ? first.file.name.replace(/\.zip$/i, '') : '';
}

/**
 * Whether a file may hold boxes.
 * @param {UploadFile} file
 */
export function isAnnotation({ file }) {
  return /\.(xml|json|txt|csv|ya?ml|names)$/i.test(file.name);
}

/** @param {UploadFile} file */
export function isZip({ file }) {
  return /\.zip$/i.test(file.name);
}

/**
 * Leave out hidden files and what operating systems leave behind.
 * @param {UploadFile[]} files
 */
function dropSystemFiles(files) {
  return files.filter(({ path }) => {
    const parts = path.split('/');
    const name = parts[parts.length - 1];
    return !parts.includes('__MACOSX') && !name.startsWith('.') && !SYSTEM_FILES.has(name.toLowerCase());
  });
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} folder path of the folder that holds it
 * @param {UploadFile[]} files appended to
 */
async function walk(entry, folder, files) {
  const path = folder ? `${folder}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const { file: open } = /** @type {FileSystemFileEntry} */ (entry);
    files.push({ file: await new Promise((resolve, reject) => open.call(entry, resolve, reject)), path });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time; an empty answer is the end.
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const inner of entries) await walk(inner, path, files);
  }
}

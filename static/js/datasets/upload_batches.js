// How files are divided into requests.
import { isZip } from './dropped_files.js';

/** @typedef {import('./dropped_files.js').UploadFile} UploadFile */

const BATCH_FILES = 8;
const BATCH_BYTES = 16 * 2 ** 20;
const ANNOTATION_FILES = 500; // in one request

/**
 * Divide images: a few in one request, each zip alone.
 * @template {UploadFile} T
 * @param {T[]} files
 * @returns {T[][]}
 */
export function batchImages(files) {
  /** @type {T[][]} */
  const batches = [];
  /** @type {T[]} */
  let batch = [];
  let bytes = 0;
  for (const item of files) {
    if (isZip(item)) {
      batches.push([item]);
      continue;
    }
    if (batch.length && (batch.length >= BATCH_FILES || bytes + item.file.size > BATCH_BYTES)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += item.file.size;
  }
  return batch.length ? [...batches, batch] : batches;
}

/**
 * Divide annotation files; those that name the classes go along with each request.
 * @template {UploadFile} T
 * @param {T[]} files
 * @returns {T[][]}
 */
export function batchAnnotations(files) {
  const naming = files.filter(({ file }) => /^(classes\.txt|obj\.names)$|\.ya?ml$/i.test(file.name));
  const others = files.filter((item) => !naming.includes(item));
  const batches = [];
  for (let start = 0; start < others.length; start += ANNOTATION_FILES) {
    batches.push([...naming, ...others.slice(start, start + ANNOTATION_FILES)]);
  }
  return batches.length || !naming.length ? batches : [naming];
}

/** @param {UploadFile[]} files */
export function sumSizes(files) {
  return files.reduce((sum, { file }) => sum + file.size, 0);
}

/** @param {number} bytes */
export function formatMegabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0)} MB`;
}

// Reads dropped and picked files into one list, and knows which folders are classes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  findWrapper,
  isAnnotation,
  isZip,
  listChosenFiles,
  suggestName,
} from '../../static/js/datasets/dropped_files.js';

const item = (path) => ({ file: { name: path.split('/').at(-1) }, path });
const items = (...paths) => paths.map(item);

test('the folder around all class folders is the wrapper', () => {
  assert.equal(findWrapper(items('flowers/rose/1.jpg', 'flowers/daisy/2.jpg')), 'flowers');
  assert.equal(findWrapper(items('a/b/rose/1.jpg', 'a/b/daisy/2.jpg', 'a/b/daisy/deep/3.jpg')), 'a/b');
});

test('one flat folder names its files and is no wrapper', () => {
  assert.equal(findWrapper(items('rose/1.jpg', 'rose/2.jpg')), '');
  assert.equal(findWrapper(items('flowers/rose/1.jpg')), 'flowers');
});

test('a loose file beside the folders leaves no wrapper', () => {
  assert.equal(findWrapper(items('flowers/rose/1.jpg', '2.jpg')), '');
  assert.equal(findWrapper(items('1.jpg')), '');
});

test('beside annotations the folder of the images is no class', () => {
  assert.equal(findWrapper(items('set/images/1.jpg', 'set/labels/1.txt')), 'set/images');
  assert.equal(findWrapper(items('set/images/1.jpg', 'set/1.xml')), 'set/images');
  assert.equal(findWrapper(items('set/rose/1.jpg', 'set/rose/readme.txt')), 'set');
});

test('a project is named after its folder or its zip', () => {
  assert.equal(suggestName(items('flowers/rose/1.jpg')), 'flowers');
  assert.equal(suggestName(items('flowers.ZIP')), 'flowers');
  assert.equal(suggestName(items('1.jpg', '2.jpg')), '');
  assert.equal(suggestName([]), '');
});

test('annotations and zips are told by their extensions', () => {
  for (const name of ['1.xml', 'coco.json', '1.txt', 'boxes.CSV', 'data.yaml', 'data.yml', 'obj.names']) {
    assert.ok(isAnnotation(item(name)), name);
  }
  assert.ok(!isAnnotation(item('1.jpg')) && !isAnnotation(item('xml')));
  assert.ok(isZip(item('a.zip')) && !isZip(item('a.zip.jpg')));
});

test('hidden files and what systems leave behind are left out', () => {
  const files = ['a/1.jpg', 'a/.DS_Store', 'a/Thumbs.db', '__MACOSX/a/1.jpg', 'a/.hidden'].map((path) => ({
    name: path.split('/').at(-1),
    webkitRelativePath: path,
  }));
  assert.deepEqual(
    listChosenFiles({ files }).map(({ path }) => path),
    ['a/1.jpg'],
  );
});

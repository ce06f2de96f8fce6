// Keys of the annotation page.
import { closest } from '../site/dom.js';
import { runAction } from './actions.js';

/**
 * @typedef {import('./editor.js').BoxEditor} BoxEditor
 * @typedef {import('./actions.js').Action} Action
 */

/** @type {Record<string, Action>} */
const KEYS = {
  n: 'next',
  p: 'previous',
  u: 'nextUnlabelled',
  e: 'toggleEmpty',
  c: 'copyPrevious',
  b: 'addBox',
  x: 'toggleDifficult',
  h: 'togglePanning',
  f: 'showWhole',
  '+': 'zoomIn',
  '=': 'zoomIn',
  '-': 'zoomOut',
  Delete: 'removeSelected',
  Backspace: 'removeSelected',
  a: 'acceptAll',
  r: 'rejectAll',
  Enter: 'acceptSelected',
  '?': 'toggleHelp',
};
/** @type {Record<string, [number, number]>} right, down */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LARGE_STEP = 10; // pixels, with Shift

/**
 * Let keys run the editor's actions. On the window and first, because the annotation library has an undo of its own, which
 * knows no classes.
 * @param {BoxEditor} editor
 */
export function activateShortcuts(editor) {
  const handle = (/** @type {KeyboardEvent} */ event) => {
    if (!editor.record || event.isComposing || document.querySelector('dialog[open]')) return;
    if (closest(event, 'input, select, textarea')) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const isUndo = isCommand && (key === 'z' || key === 'y');
    if (isUndo) runAction(editor, key === 'y' || event.shiftKey ? 'redo' : 'undo');
    const isHandled = isUndo || (!isCommand && handleKey(editor, event));
    if (!isHandled) return;
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener('keydown', handle, { capture: true });
}

/**
 * Run what a key stands for; false when it stands for nothing here.
 * @param {BoxEditor} editor
 * @param {KeyboardEvent} event
 */
function handleKey(editor, event) {
  const arrow = ARROWS[event.key];
  if (arrow) return handleArrow(editor, event, arrow);
  if (event.altKey) return false;
  if (/^[1-9]$/.test(event.key)) {
    editor.chooseLabelAt(Number(event.key) - 1);
    return true;
  }
  if (event.key === 'Escape' && editor.selected) {
    editor.select(null);
    return true;
  }
  // Enter presses the button that has the focus, but on the line of a prelabel it accepts that.
  const isPress = event.key === 'Enter' && closest(event, 'button, a, summary') && !closest(event, '.boxes');
  if (event.key === 'Tab' || isPress) return false;
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  return action !== undefined && runAction(editor, action);
}

/**
 * Arrows change the image, or move the selected box; with Alt its lower right corner.
 * @param {BoxEditor} editor
 * @param {KeyboardEvent} event
 * @param {[number, number]} direction
 */
function handleArrow(editor, event, [right, down]) {
  if (editor.selectedBox) {
    const step = event.shiftKey ? LARGE_STEP : 1;
    return editor.moveSelected(right * step, down * step, event.altKey);
  }
  if (!right || event.altKey) return false;
  return runAction(editor, right > 0 ? 'next' : 'previous');
}

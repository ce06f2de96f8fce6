// The progress of a training while it runs.
import { query, setProgress, setText } from '../site/dom.js';
import { poll } from '../site/polling.js';
import { getJson, getMessage } from '../site/requests.js';
import { drawCurve } from './learning_curve.js';

/** @type {Record<string, string>} */
const PHASES = {
  decode: 'Reading the photos',
  reference: 'Extracting features',
  rank: 'Comparing with the zoo',
  proposals: 'Finding regions',
  instant: 'First model',
  probe: 'Trying the best sources',
  finetune: 'Finetuning',
  evaluate: 'Measuring',
  provisional: 'Storing the measured model',
  refit: 'Training on all photos',
  seal: 'Storing the model',
};

/**
 * @typedef {object} Progress
 * @property {number | null} [fraction]
 * @property {string} [phase]
 * @property {string} [message]
 * @property {number} [epoch]
 * @property {number} [epochs]
 * @property {number | null} [loss]
 * @property {number | null} [accuracy]
 * @property {number | null} [seconds_left]
 * @property {string} [forecast]
 *
 * @typedef {object} TrainingStatus
 * @property {string} state
 * @property {boolean} finished
 * @property {boolean} cancel_requested
 * @property {boolean} provisional
 * @property {string | null} model
 * @property {number | null} queue_position
 * @property {Progress | null} progress
 * @property {import('./learning_curve.js').CurvePoint[] | null} curve
 *
 * @typedef {(status: TrainingStatus) => unknown} StatusHandler
 */

/**
 * Show the progress of a training until it ends or its panel leaves the page.
 * @param {HTMLElement} panel with data-status (URL) and data-state
 * @param {{ onState?: StatusHandler, onModel?: StatusHandler, onEnd?: StatusHandler }} handlers
 *   called when the state changes, when a first or better model can be used, and at the end
 */
export function followTraining(panel, { onState = () => {}, onModel = () => {}, onEnd = () => {} }) {
  let state = panel.dataset.state;
  /** @type {string | null} */
  let model = null;
  const update = async () => {
    if (!panel.isConnected) return true;
    /** @type {TrainingStatus} */
    const status = await getJson(panel.dataset.status ?? '');
    showStatus(panel, status);
    if (status.model && status.model !== model) {
      model = status.model;
      await onModel(status);
    }
    if (status.finished) {
      await onEnd(status);
      return true;
    }
    if (status.state !== state) {
      state = status.state;
      await onState(status);
    }
    return false;
  };
  poll(update, { onError: (error) => setText(query(panel, '.message'), getMessage(error)) });
}

/**
 * @param {HTMLElement} panel
 * @param {TrainingStatus} status
 */
function showStatus(panel, status) {
  const progress = status.progress ?? {};
  const isQueued = status.state === 'queued';
  const fraction = isQueued ? null : progress.fraction;
  setProgress(query(panel, 'progress', HTMLProgressElement), fraction);
  const phase = isQueued ? 'Waiting for a worker' : (PHASES[progress.phase ?? ''] ?? 'Running');
  query(panel, '.phase .name').textContent = phase;
  query(panel, '.percentage').textContent = fraction == null ? '' : `${Math.round(100 * fraction)} %`;
  setText(query(panel, '.message'), describeStatus(status));
  const forecast = query(panel, '.forecast');
  if (progress.forecast) setText(forecast, progress.forecast);
  forecast.hidden = !forecast.textContent;
  const { epoch, epochs, accuracy, seconds_left: seconds } = progress;
  const figures = query(panel, '.figures');
  figures.hidden = !epochs && seconds == null;
  setFigure(figures, '.epoch', epochs ? `${epoch} of ${epochs}` : null);
  setFigure(figures, '.accuracy', accuracy == null ? null : `${(100 * accuracy).toFixed(1)} %`);
  setFigure(figures, '.time-left', seconds == null ? null : formatDuration(seconds));
  query(panel, '.provisional').hidden = !status.provisional;
  drawCurve(query(panel, '.curve'), status.curve ?? []);
}

/**
 * One sentence on what the training does now.
 * @param {TrainingStatus} status
 */
export function describeStatus({ state, cancel_requested: isStopping, queue_position: position, progress }) {
  if (isStopping) return 'Stopping …';
  if (state === 'queued') {
    if (!position) return 'It is next.';
    return `${position} training${position === 1 ? ' is' : 's are'} before it.`;
  }
  const loss = progress?.loss == null ? '' : ` · loss ${progress.loss.toFixed(3)}`;
  return `${progress?.message ?? ''}${loss}`;
}

/**
 * @param {HTMLElement} figures
 * @param {string} selector
 * @param {string | null} text
 */
function setFigure(figures, selector, text) {
  const figure = query(figures, selector);
  figure.textContent = text ?? '';
  if (figure.parentElement) figure.parentElement.hidden = text == null;
}

/** @param {number} seconds */
export function formatDuration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')} min`;
}

// Asking again and again, seldom while nobody looks at the page.

const VISIBLE = 1000; // ms between two calls
const HIDDEN = 10000;

/**
 * Call `ask` until it returns true (or resolves to it), one call at a time; at once when the page is shown again.
 * An error of `ask` goes to `onError`, and it is asked again.
 * @param {() => boolean | Promise<boolean>} ask returns whether it is done
 * @param {{ visible?: number, hidden?: number, onError?: (error: unknown) => void }} [options] intervals in ms
 */
export function poll(ask, { visible = VISIBLE, hidden = HIDDEN, onError = () => {} } = {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isAsking = false;
  const run = async () => {
    if (isAsking) return;
    clearTimeout(timer);
    isAsking = true;
    let isDone = false;
    try {
      isDone = await ask();
    } catch (error) {
      onError(error);
    }
    isAsking = false;
    if (isDone) document.removeEventListener('visibilitychange', onVisibility);
    else timer = setTimeout(run, document.hidden ? hidden : visible);
  };
  const onVisibility = () => {
    if (!document.hidden) run();
  };
  document.addEventListener('visibilitychange', onVisibility);
  run();
}

// A job, followed on its page; when it ends the page is loaded again and shows what came of it.

const EVERY = 1500; // milliseconds

const panel = document.querySelector('[data-follow]');

function show(told) {
  // Without a fraction nobody knows how far it is: the bar then moves by itself.
  if (told.fraction !== null) panel.querySelector('progress').value = told.fraction;
  panel.querySelector('[data-state]').textContent = told.stopping ? 'Stopping' : told.shown;
  panel.querySelector('[data-message]').textContent = told.message;
}

async function follow() {
  const answer = await fetch(panel.dataset.follow, { headers: { Accept: 'application/json' } }).catch(
    () => null,
  );
  const away = !answer || answer.status >= 500; // the server is being started again
  if (!away && (answer.redirected || !answer.ok)) {
    window.location.reload(); // signed out meanwhile, or discarded in another window
    return;
  }
  const told = away ? null : await answer.json();
  if (told) show(told);
  if (told?.finished) {
    window.location.reload();
  } else {
    window.setTimeout(follow, EVERY);
  }
}

if (panel) window.setTimeout(follow, EVERY);

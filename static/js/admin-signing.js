// The signing of a source, followed on its page; when it ends the page is loaded again and shows what it made.

const EVERY = 1500; // milliseconds

const panel = document.querySelector("[data-signing]");

async function follow() {
  const answer = await fetch(panel.dataset.signing, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json();
  panel.querySelector("progress").value = told.fraction;
  panel.querySelector("[data-state]").textContent = told.stopping ? "Stopping" : told.shown;
  panel.querySelector("[data-message]").textContent = told.message;
  if (told.finished) {
    window.location.reload();
  } else {
    window.setTimeout(follow, EVERY);
  }
}

if (panel) window.setTimeout(follow, EVERY);

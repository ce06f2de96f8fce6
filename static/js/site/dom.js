// Parts of the page made fresh: the server renders them, here they are only put in place.

export async function refresh(ids, url = location.href) {
  const response = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'text/html' } });
  if (!response.ok || response.redirected) return false;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const id of ids) {
    const fresh = page.getElementById(id);
    const old = document.getElementById(id);
    if (fresh && old) old.replaceWith(document.adoptNode(fresh));
  }
  return true;
}

// A button that only a script gives a meaning waits, disabled, for it: a press before would be lost without a word.
export function onPress(button, act) {
  button.addEventListener('click', act);
  button.disabled = false;
}

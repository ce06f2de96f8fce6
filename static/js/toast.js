// A message that goes by itself, with at most one thing to do about it.

const STAY = 8000; // ms; long enough to reach "Undo" by keyboard

export function toast(message, { bad = false, action = '', onAction = null } = {}) {
  const box = document.getElementById('toast').content.firstElementChild.cloneNode(true);
  box.classList.toggle('bad', bad);
  box.querySelector('span').textContent = message;
  const button = box.querySelector('button');
  const leave = setTimeout(() => box.remove(), STAY);
  if (action) {
    button.hidden = false;
    button.textContent = action;
    button.addEventListener('click', () => {
      clearTimeout(leave);
      box.remove();
      onAction();
    });
  }
  document.getElementById('toasts').append(box);
}

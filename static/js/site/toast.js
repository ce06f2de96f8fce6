// A message that goes by itself, with something to do about it, or one of two things: then it stays until one is chosen.

const STAY = 8000; // ms; long enough to reach "Undo" by keyboard

export function toast(
  message,
  { bad = false, action = '', onAction = null, other = '', onOther = null } = {},
) {
  const box = document.getElementById('toast').content.firstElementChild.cloneNode(true);
  box.classList.toggle('bad', bad);
  box.querySelector('span').textContent = message;
  const button = box.querySelector('button');
  const leave = other ? 0 : setTimeout(() => box.remove(), STAY);
  const offer = (choice, words, action) => {
    choice.hidden = false;
    choice.textContent = words;
    choice.addEventListener('click', () => {
      clearTimeout(leave);
      box.remove();
      action();
    });
  };
  if (other) {
    button.after(button.cloneNode(true));
    offer(button.nextElementSibling, other, onOther);
  }
  if (action) offer(button, action, onAction);
  document.getElementById('toasts').append(box);
}

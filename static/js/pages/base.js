// On every page: questions before what cannot be undone, copying, and menus that close.
import { toast } from '../site/toast.js';

document.addEventListener('submit', (event) => {
  const { confirm: question, ask } = event.target.dataset;
  if (question && !window.confirm(question)) event.preventDefault();
  if (ask) {
    const answer = window.prompt(ask, event.target.dataset.value ?? '');
    if (answer === null || !answer.trim()) event.preventDefault();
    else event.target.elements.name.value = answer.trim();
  }
});

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) {
    const text = document.querySelector(button.dataset.copy).textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
      toast('Copied.');
    } catch {
      toast('Copying is not allowed here; select the text instead.', { bad: true });
    }
  }
  for (const menu of document.querySelectorAll('.menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  const menu = document.querySelector('.menu[open]');
  if (menu) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});

// Tabs: one panel is visible; arrow keys move between them.
import { closest, query, queryAll } from './dom.js';

/** Make every `role="tab"` of the page, also of later ones, show its panel. */
export function activateTabs() {
  document.addEventListener('click', (event) => {
    const tab = closest(event, '[role=tab]');
    if (tab) selectTab(tab);
  });
  document.addEventListener('keydown', (event) => {
    const tab = closest(event, '[role=tab]');
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !step) return;
    const tabs = getTabs(tab);
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    selectTab(next);
    next.focus();
  });
}

/** @param {HTMLElement} tab */
function getTabs(tab) {
  return queryAll(/** @type {HTMLElement} */ (tab.parentElement), '[role=tab]');
}

/** @param {HTMLElement} selected */
function selectTab(selected) {
  for (const tab of getTabs(selected)) {
    const isSelected = tab === selected;
    tab.setAttribute('aria-selected', String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
    query(document, `#${tab.getAttribute('aria-controls')}`).hidden = !isSelected;
  }
}

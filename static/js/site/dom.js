// Elements of the page: finding them, filling them, and exchanging them for the server's newer ones.

const SVG_NAMESPACE = 'http://www.w3.org/2000/svg';
const ID_PLACEHOLDER = '00000000-0000-0000-0000-000000000000'; // stands for an id in a URL that the page gives

/**
 * Find the first element that matches; throw when the page lacks it.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [type] class of the element, when it is more than an HTMLElement
 * @returns {T}
 */
export function query(root, selector, type) {
  const element = root.querySelector(selector);
  if (!element || (type && !(element instanceof type))) throw new Error(`This page lacks ${selector}.`);
  return /** @type {T} */ (element);
}

/**
 * Find the first element that matches, or null.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [_type] class of the element, for the type checker
 * @returns {T | null}
 */
export function queryOptional(root, selector, _type) {
  return root.querySelector(selector);
}

/**
 * Find all elements that match.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [_type] class of the elements, for the type checker
 * @returns {T[]}
 */
export function queryAll(root, selector, _type) {
  return [...root.querySelectorAll(/** @type {any} */ (selector))];
}

/**
 * Find what an event happened in: its target or the closest ancestor that matches.
 * @template {Element} [T=HTMLElement]
 * @param {Event} event
 * @param {string} selector
 * @param {new () => T} [_type] class of the element, for the type checker
 * @returns {T | null}
 */
export function closest(event, selector, _type) {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}

/**
 * Copy the only element of a `<template>`.
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function cloneTemplate(root, selector) {
  const sample = query(root, selector, HTMLTemplateElement).content.firstElementChild;
  return /** @type {HTMLElement} */ (sample?.cloneNode(true));
}

/**
 * Read the JSON of a `<script type="application/json">`; null when the page has none.
 * @param {string} id
 */
export function readJson(id) {
  const text = document.getElementById(id)?.textContent;
  return text ? JSON.parse(text) : null;
}

/**
 * Put an id into a URL that the page gives.
 * @param {string | undefined} url
 * @param {string} id
 */
export function fillUrl(url = '', id) {
  return url.replace(ID_PLACEHOLDER, id);
}

/**
 * Change an element's text only when it differs, so that a screen reader announces changes only.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Show a fraction of 0 to 1; null shows an activity of unknown length.
 * @param {HTMLProgressElement} bar
 * @param {number | null | undefined} fraction
 */
export function setProgress(bar, fraction) {
  if (fraction == null) bar.removeAttribute('value');
  else bar.value = fraction;
}

/**
 * Enable a button that the server renders disabled because it needs a script: a press before would do nothing.
 * @param {HTMLButtonElement} button
 * @param {(event: MouseEvent) => void} onClick
 */
export function activateButton(button, onClick) {
  button.addEventListener('click', onClick);
  button.disabled = false;
}

/**
 * Create an SVG element with attributes.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElementTagNameMap[K]}
 */
export function createSvg(name, attributes) {
  const element = document.createElementNS(SVG_NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/**
 * Fetch a page of this site; null when it is refused or leads elsewhere (signed out).
 * @param {string} url
 */
export async function fetchPage(url) {
  const response = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'text/html' } });
  if (!response.ok || response.redirected) return null;
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

/**
 * Exchange elements for the ones that the server renders now; false when it renders none.
 * @param {string[]} ids
 */
export async function refreshElements(ids) {
  const page = await fetchPage(location.href);
  if (!page) return false;
  for (const id of ids) {
    const fresh = page.getElementById(id);
    if (fresh) document.getElementById(id)?.replaceWith(document.adoptNode(fresh));
  }
  return true;
}

// Brings blocks of the page to the state that the service tells of.

import { arrange, morph, morphElement } from "./morph.js";

/**
 * Apply what changed in one block.
 * @param {HTMLElement} block The section with the block's id.
 * @param {{skeleton?: string, runs?: object, parts?: object, gone?: string[]}} change See service/web/live/parts.py.
 * @returns {{added: Element[], changed: Element[], isWhole: boolean}} What was done; `isWhole` is false if the page lacks
 *   a part that the change takes for granted, so that all of the block must be sent again.
 */
export function applyChange(block, { skeleton, runs = {}, parts = {}, gone = [] }) {
  const noted = { added: [], changed: [], isWhole: true };
  const made = new Map(Object.entries(parts).map(([key, html]) => [key, elementOf(html)]));
  if (skeleton !== undefined) {
    rebuild(block, skeleton, runs, made, noted);
    return noted;
  }
  for (const [key, element] of made) {
    const present = find(block, key);
    if (present) morphElement(present, element, noted);
  }
  for (const keys of Object.values(runs)) order(block, keys, gone, made, noted);
  for (const key of gone) find(block, key)?.remove();
  return noted;
}

function rebuild(block, skeleton, runs, made, noted) {
  const template = document.createElement("template");
  template.innerHTML = skeleton;
  const walker = document.createTreeWalker(template.content, NodeFilter.SHOW_COMMENT);
  const marks = [];
  while (walker.nextNode()) marks.push(walker.currentNode);
  for (const mark of marks) {
    const keys = runs[mark.data.trim().replace(/^run /, "")] ?? [];
    mark.replaceWith(...keys.map((key) => made.get(key) ?? stand(block, key, noted)).filter(Boolean));
  }
  morph(block, template.content, noted);
}

/** Stands for a part that is on the page and has not changed. */
function stand(block, key, noted) {
  const present = find(block, key);
  if (!present) {
    noted.isWhole = false;
    return null;
  }
  const kept = document.createElement(present.localName);
  kept.id = key;
  kept.dataset.kept = "";
  return kept;
}

function order(block, keys, gone, made, noted) {
  const known = [...keys, ...gone].map((key) => find(block, key)).filter(Boolean);
  if (!known.length) {
    noted.isWhole = false;
    return;
  }
  const parent = known[0].parentNode;
  const last = known.reduce((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? b : a));
  // Where the run ends; what goes is still there and holds the place.
  const anchor = last.nextSibling;
  const wanted = [];
  for (const key of keys) {
    let element = find(block, key);
    if (!element && made.has(key)) {
      element = document.importNode(made.get(key), true);
      noted.added.push(element);
    }
    if (element) wanted.push(element);
    else noted.isWhole = false;
  }
  arrange(wanted, parent, anchor);
}

function find(block, key) {
  const element = document.getElementById(key);
  return element && block.contains(element) ? element : null;
}

function elementOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

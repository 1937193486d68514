// Makes one tree equal to another while keeping the nodes that stay, and with them focus, scroll and selection.

/**
 * Make the children of an element equal to those of another.
 * Children with an id are recognised wherever they went; the others by their order. As few as possible are moved.
 * What carries `data-client` belongs to the script and is left alone; an element of the source that carries `data-kept`
 * stands for the one with its id that is there already. What a person did stays: open details, ticked boxes, input.
 * @param {Element} target What is on the page.
 * @param {ParentNode} source What it is to become; unchanged.
 * @param {{added: Element[], changed: Element[]}} noted Is filled and returned.
 * @returns {{added: Element[], changed: Element[]}} Elements that are new, and parents of texts that changed.
 */
export function morph(target, source, noted = { added: [], changed: [] }) {
  return keepingFocus(target, () => {
    morphChildren(target, source, noted);
    return noted;
  });
}

/** Make one element, attributes included, equal to another of its kind; else as `morph`. */
export function morphElement(target, source, noted = { added: [], changed: [] }) {
  return keepingFocus(target, () => {
    morphNode(target, source, noted);
    return noted;
  });
}

/**
 * Put elements with ids into an order, right after each other.
 * @param {Element[]} wanted All are or will be children of `parent`.
 * @param {Element} parent Where.
 * @param {Node | null} before What stands after the last one.
 */
export function arrange(wanted, parent, before) {
  keepingFocus(parent, () => {
    const steady = steadyOnes(wanted.filter((element) => element.parentNode === parent));
    let next = before;
    for (const element of [...wanted].reverse()) {
      if (!steady.has(element)) move(parent, element, next);
      next = element;
    }
  });
}

function keepingFocus(target, change) {
  const focused = document.activeElement;
  const result = change();
  // A node that is moved loses the focus where `moveBefore` is not known.
  if (focused && focused.isConnected && focused !== document.activeElement && target.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
  return result;
}

function move(parent, node, before) {
  if (parent.moveBefore && node.isConnected && parent.isConnected) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

/** Those of some siblings that may stay where they are: a longest part of them that is in order already. */
function steadyOnes(wanted) {
  const places = new Map([...(wanted[0]?.parentNode.children ?? [])].map((element, place) => [element, place]));
  const ends = [];
  const before = new Map();
  for (const element of wanted) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places.get(ends[middle]) < places.get(element)) low = middle + 1;
      else high = middle;
    }
    before.set(element, ends[low - 1]);
    ends[low] = element;
  }
  const steady = new Set();
  for (let element = ends.at(-1); element; element = before.get(element)) steady.add(element);
  return steady;
}

function morphChildren(target, source, noted) {
  const wanted = [...source.childNodes].filter((node) => node.nodeType !== Node.COMMENT_NODE);
  const named = new Map([...target.children].filter((child) => child.id).map((child) => [child.id, child]));
  const matches = wanted.map((node) => (node.id && named.get(node.id)?.nodeName === node.nodeName ? named.get(node.id) : null));
  const steady = steadyOnes(matches.filter(Boolean));
  let cursor = target.firstChild;
  wanted.forEach((node, at) => {
    let match = matches[at];
    if (!match && !node.id) match = nextLike(cursor, node);
    if (!match) {
      const added = document.importNode(node, true);
      target.insertBefore(added, cursor);
      if (added.nodeType === Node.ELEMENT_NODE) noted.added.push(added);
      return;
    }
    if (node.id && !steady.has(match)) {
      if (match === cursor) cursor = cursor.nextSibling;
      else move(target, match, cursor);
    } else {
      // What lies before the next one that stays has gone, or is moved when its turn comes.
      while (cursor !== match) cursor = passed(cursor, matches);
      cursor = cursor.nextSibling;
    }
    morphNode(match, node, noted);
  });
  while (cursor) cursor = passed(cursor, []);
}

/** The node after one that is passed over; it is removed unless it is wanted elsewhere. */
function passed(node, matches) {
  const next = node.nextSibling;
  if (!matches.includes(node)) node.remove();
  return next;
}

function nextLike(start, wanted) {
  const isText = wanted.nodeType !== Node.ELEMENT_NODE;
  for (let node = start; node && !node.id; node = node.nextSibling) {
    if (node.nodeName === wanted.nodeName) return node;
    if (isText && node.nodeType !== Node.COMMENT_NODE) return null;
  }
  return null;
}

function morphNode(present, wanted, noted) {
  if (present.nodeType !== Node.ELEMENT_NODE) {
    if (present.data === wanted.data) return;
    present.data = wanted.data;
    if (present.data.trim()) noted.changed.push(present.parentElement);
    return;
  }
  if (present.hasAttribute("data-client") || wanted.hasAttribute("data-kept")) return;
  for (const { name, value } of wanted.attributes) {
    // Whether details are open is the reader's choice.
    if (present.getAttribute(name) !== value && name !== "open") present.setAttribute(name, value);
  }
  for (const { name } of [...present.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") present.removeAttribute(name);
  }
  morphChildren(present, wanted, noted);
}

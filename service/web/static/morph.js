// Makes one tree equal to another while keeping the nodes that stay, and with them focus, scroll and selection.

/**
 * Make the children of an element equal to those of another.
 * Children with an id are recognised wherever they went; the others by their order.
 * What carries `data-client` belongs to the script and is left alone.
 * @param {Element} target What is on the page.
 * @param {Element} source What it is to become; unchanged.
 * @returns {{added: Element[], changed: Element[]}} Elements that are new, and parents of texts that changed.
 */
export function morph(target, source) {
  const focused = document.activeElement;
  const noted = { added: [], changed: [] };
  morphChildren(target, source, noted);
  // A node that is moved loses the focus.
  if (focused && focused.isConnected && focused !== document.activeElement && target.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
  return noted;
}

function morphChildren(target, source, noted) {
  const known = new Map([...target.children].filter((child) => child.id).map((child) => [child.id, child]));
  let cursor = target.firstChild;
  for (const wanted of source.childNodes) {
    const match = wanted.id ? known.get(wanted.id) : nextLike(cursor, wanted);
    // What lies before the next one of its kind has gone.
    while (match && !wanted.id && cursor !== match) cursor = removed(cursor);
    if (!match || match.nodeName !== wanted.nodeName) {
      const added = document.importNode(wanted, true);
      target.insertBefore(added, cursor);
      if (added.nodeType === Node.ELEMENT_NODE) noted.added.push(added);
      continue;
    }
    if (match === cursor) cursor = cursor.nextSibling;
    else target.insertBefore(match, cursor);
    morphNode(match, wanted, noted);
  }
  while (cursor) cursor = removed(cursor);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function nextLike(start, wanted) {
  const isText = wanted.nodeType !== Node.ELEMENT_NODE;
  for (let node = start; node && !node.id; node = node.nextSibling) {
    if (node.nodeName === wanted.nodeName) return node;
    if (isText) return undefined;
  }
  return undefined;
}

function morphNode(present, wanted, noted) {
  if (present.nodeType !== Node.ELEMENT_NODE) {
    if (present.data === wanted.data) return;
    present.data = wanted.data;
    if (present.data.trim()) noted.changed.push(present.parentElement);
    return;
  }
  if (present.hasAttribute("data-client")) return;
  for (const { name, value } of wanted.attributes) {
    // Whether details are open is the reader's choice.
    if (present.getAttribute(name) !== value && name !== "open") present.setAttribute(name, value);
  }
  for (const { name } of [...present.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") present.removeAttribute(name);
  }
  morphChildren(present, wanted, noted);
}

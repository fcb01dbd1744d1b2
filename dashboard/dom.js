// Makes elements. Text always goes through textContent, so nothing from outside can become markup.

/** An element with properties (or attributes, where there is no such property) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Sets the text only where it differs: what stays the same costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// moveBefore keeps focus, scrolling and custom elements as they are; browsers without it put the node in anew.
const moves = "moveBefore" in Element.prototype;

/** Makes `nodes` the children of `parent`, in this order, with few moves. Other children go. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const node of nodes) {
    if (node === place) {
      place = place.nextElementSibling;
    } else if (moves && node.isConnected) {
      parent.moveBefore(node, place);
    } else {
      parent.insertBefore(node, place);
    }
  }
}

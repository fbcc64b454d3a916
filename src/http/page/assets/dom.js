// Makes and changes elements. Text only ever becomes text, never markup, so that an id or a title cannot bring a script
// along.

/**
 * Makes an element. An attribute whose name begins with `on` is a listener; one that is null or false is left out, one
 * that is true has no value.
 * @param {string} tag
 * @param {Object<string, *>} [attributes]
 * @param {...(Node|string|number|null)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== false && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sets an element's text, and leaves the page alone when it is the same. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** The head of a panel: its title, a note beside it, and controls at its end. */
export function panelHead(title, note, ...controls) {
  return h("div", { class: "panel-head" },
    h("h2", {}, title),
    note instanceof Node ? note : h("span", { class: "note" }, note),
    h("div", { class: "end" }, ...controls));
}

/** A square of a shard's colour. */
export function shardDot(shard) {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  dot.style.setProperty("--dot", `var(${shardColour(shard)})`);
  return dot;
}

/** The custom property that has a shard's colour. There are eight; the number beside the colour tells shards apart. */
export function shardColour(shard) {
  return `--shard-${shard % 8}`;
}

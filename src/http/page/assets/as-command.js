// Shows how to do the same from a terminal: with curl, and with shardcart's own command line.

import { currentKey, isDevelopment } from "./access.js";
import { ROOT } from "./api.js";
import { h, setText } from "./dom.js";

/** The time for which a button says that it has copied, in milliseconds. */
const COPIED_MS = 1_500;

/**
 * A request as a command line of curl. The key itself is shown only where it is the development key.
 * @param {string} target relative to the store's address
 * @param {{method?: string, body?: Object, isStream?: boolean, isGuarded?: boolean, isKeyed?: boolean}} [options]
 */
export function curl(target, { method = "GET", body = null, isStream = false, isGuarded = false, isKeyed = false } = {}) {
  const parts = ["curl", isStream ? "-sN" : "-s"];
  if (method !== "GET" && !(method === "POST" && body !== null)) {
    parts.push("-X", method);
  }
  if (isGuarded || (currentKey() !== null && !isDevelopment())) {
    parts.push("-H", isDevelopment() ? quoted(`X-API-Key: ${currentKey()}`) : '"X-API-Key: $SHARDCART_API_KEY"');
  }
  if (isKeyed) {
    parts.push("-H", '"Idempotency-Key: $(uuidgen)"');
  }
  if (body !== null) {
    parts.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(body)));
  }
  return [...parts, quoted(new URL(target, ROOT).href)].join(" ");
}

/** A command line of shardcart, for the store of this page. */
export function command(...words) {
  const isDefault = ROOT.href === "http://127.0.0.1:5000/" || ROOT.href === "http://localhost:5000/";
  const address = isDefault ? [] : ["--url", quoted(ROOT.href.replace(/\/$/, ""))];
  return ["shardcart", ...words.map(quoted), ...address].join(" ");
}

/** Quotes a word for a shell where it needs that. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

class AsCommand extends HTMLElement {
  #lines = new Map();

  /**
   * Sets what is shown.
   * @param {Array<[string, string]>} lines a name, such as `curl`, and its command line
   */
  set lines(lines) {
    if (this.#lines.size === 0) {
      this.#build(lines.map(([name]) => name));
    }
    for (const [name, text] of lines) {
      setText(this.#lines.get(name), text);
    }
  }

  #build(names) {
    const rows = names.map((name) => {
      const code = h("code", { "aria-label": `as ${name}` });
      this.#lines.set(name, code);
      return h("div", { class: "command-line" }, code,
        h("button", { type: "button", "aria-label": `Copy: ${name}`, onclick: (event) => copy(event.target, code) }, "copy"));
    });
    this.append(h("details", {}, h("summary", {}, `as ${names.join(" and as ")}`), ...rows));
  }
}

async function copy(button, code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    setText(button, "copied");
  } catch {
    // Plain http from another machine has no clipboard; the reader copies the selection.
    getSelection().selectAllChildren(code);
    setText(button, "selected");
  }
  setTimeout(() => setText(button, "copy"), COPIED_MS);
}

/** Makes the element with its lines. */
export function asCommand(lines = null) {
  const element = h("as-command");
  if (lines) {
    element.lines = lines;
  }
  return element;
}

customElements.define("as-command", AsCommand);

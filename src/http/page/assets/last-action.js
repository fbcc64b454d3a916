// Says how the reader's last action is done from a terminal.

import { asCommand } from "./as-command.js";
import { h, setText } from "./dom.js";

/**
 * Tells of an action of the reader.
 * @param {string} what
 * @param {Array<[string, string]>} lines a name, such as `curl`, and its command line
 */
export function tell(what, lines) {
  document.dispatchEvent(new CustomEvent("acted", { detail: { what, lines } }));
}

class LastAction extends HTMLElement {
  #what = h("span", { class: "note" });
  #command = asCommand();

  connectedCallback() {
    this.append(h("div", { class: "panel-head" }, h("h2", {}, "From a terminal"), this.#what), this.#command);
    document.addEventListener("acted", ({ detail: { what, lines } }) => {
      this.hidden = false;
      setText(this.#what, what);
      this.#command.lines = lines;
    });
  }
}

customElements.define("last-action", LastAction);
